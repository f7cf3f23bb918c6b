//! What a client holds between two requests: the durable position, and the node's epoch with its
//! counter for what is not durable (client-server API, "Syncing").
//!
//! Invariant: a token that was handed out names a published position and a counter that can be
//! read, so no token lies in the future. A durable position means the same for ever; a counter
//! means something only within its epoch, and a token of another epoch gets the present typing and
//! presence again. What a token says of typing is true of whoever got the answer that it came with.

use std::{fmt, str::FromStr};

use proto::number::Position;

/// The version of the text, so that a later format can tell old tokens apart.
const VERSION: &str = "s1";
/// The most bytes a token can have: the version, three numbers of 64 bits, the mark, the
/// separators.
const LENGTH_MAX: usize = 2 + 3 * (1 + 20) + 2;

/// A place in the one order of changes, durable and ephemeral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SyncToken {
    /// Every durable change up to here is known to the holder.
    pub position: Position,
    /// The run of the process that `ephemeral` belongs to.
    pub epoch: u64,
    /// Every ephemeral change of that run up to here is known to the holder.
    pub ephemeral: u64,
    /// Whom the holder shows as typing.
    pub typing: TypingShown,
}

/// Whom the holder of a token shows as typing in the rooms that the user is joined to, by what it
/// was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TypingShown {
    /// Nobody, so that it needs to hear only of those who type.
    Nobody,
    /// Somebody, perhaps, but only in rooms where somebody types or that changed after the token:
    /// it hears of their end as long as the epoch lasts.
    Followed,
    /// Nothing is sure. Tokens without a mark mean this.
    #[default]
    Unknown,
}

/// Why a token is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this server.
    #[error("the token is malformed")]
    Malformed,
    /// It names a place that this server has not reached.
    #[error("the token lies in the future")]
    Future,
}

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest published position.
    pub position: Position,
    /// The epoch of this run.
    pub epoch: u64,
    /// The newest ephemeral change that can be read.
    pub ephemeral: u64,
}

impl SyncToken {
    /// The token of somebody who knows everything up to here.
    pub fn at(head: Head) -> Self {
        let Head { position, epoch, ephemeral } = head;
        Self { position, epoch, ephemeral, typing: TypingShown::Unknown }
    }

    /// Parses a token and checks that it does not lie after `head`.
    pub fn parse(text: &str, head: Head) -> Result<Self, TokenError> {
        let token = text.parse::<Self>()?;
        if token.position > head.position
            || (token.epoch == head.epoch && token.ephemeral > head.ephemeral)
        {
            return Err(TokenError::Future);
        }
        Ok(token)
    }

    /// The ephemeral counter, if it belongs to this epoch: the holder knows nothing of another
    /// one's.
    pub fn ephemeral_in(&self, epoch: u64) -> Option<u64> {
        (self.epoch == epoch).then_some(self.ephemeral)
    }
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}_{}_{:x}_{}", self.position, self.epoch, self.ephemeral)?;
        self.typing.mark().map_or(Ok(()), |mark| write!(f, "_{mark}"))
    }
}

impl TypingShown {
    /// How a token says it.
    fn mark(self) -> Option<&'static str> {
        match self {
            Self::Nobody => Some("n"),
            Self::Followed => Some("f"),
            Self::Unknown => None,
        }
    }

    fn parse(mark: Option<&str>) -> Result<Self, TokenError> {
        let all = [Self::Nobody, Self::Followed, Self::Unknown];
        all.into_iter().find(|shown| shown.mark() == mark).ok_or(TokenError::Malformed)
    }
}

impl FromStr for SyncToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > LENGTH_MAX {
            return Err(TokenError::Malformed);
        }
        let mut parts = text.split('_');
        let mut next = || parts.next().ok_or(TokenError::Malformed);
        if next()? != VERSION {
            return Err(TokenError::Malformed);
        }
        let position = Position(number(next()?, 10)?);
        let epoch = number(next()?, 16)?;
        let ephemeral = number(next()?, 10)?;
        let typing = TypingShown::parse(parts.next())?;
        if parts.next().is_some() {
            return Err(TokenError::Malformed);
        }
        Ok(Self { position, epoch, ephemeral, typing })
    }
}

/// A number as `Display` writes it: no sign, which `from_str_radix` would take.
fn number(text: &str, radix: u32) -> Result<u64, TokenError> {
    if !text.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return Err(TokenError::Malformed);
    }
    u64::from_str_radix(text, radix).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
#[path = "token_test.rs"]
mod tests;
