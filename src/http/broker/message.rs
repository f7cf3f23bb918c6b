//! What the client and the broker say to each other.
//!
//! A message is its length (two bytes, the most significant first), then the version of the
//! protocol, then its kind, then what the kind asks for. Texts are their length in two bytes and
//! UTF-8; addresses and ranges are texts. Both sides are of one version of this program, but for
//! the moment of an upgrade: another version is refused, not guessed at.
//!
//! | request | kind | then |
//! |---|---|---|
//! | connect | 1 | port (two bytes), host (text) |
//!
//! Queries of other DNS records, such as SRV, will be kinds of their own.
//!
//! An answer's kind is its outcome; then come the candidates of the attempt, then what the outcome
//! tells. The socket comes with the first byte of an answer that has one, and with no other.
//!
//! Invariant: reading never panics and takes no byte more or less than the whole message.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{Attempt, Candidate, DialError, Fate, IpRange, Target, system_dial::MAX_CANDIDATES};

/// The version of the protocol.
pub(super) const VERSION: u8 = 1;
/// Bytes of a message's length.
pub(super) const LENGTH_BYTES: usize = 2;
/// Longest request.
pub(super) const REQUEST_MAX_BYTES: usize = 512;
/// Longest answer.
pub(super) const ANSWER_MAX_BYTES: usize = 32 * 1024;
/// Longest host name (RFC 1035 has 253 characters and a dot at the end).
pub(super) const HOST_MAX_BYTES: usize = 255;
/// Longest text of an error; the rest is cut off.
const REASON_MAX_BYTES: usize = 256;

/// The message cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed.0)
    }
}

const CONNECT: u8 = 1;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A connection.
    Connect(Target),
}

/// What the broker answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// An attempt was made; the socket of a successful one comes beside it.
    Attempted(Attempt<SocketAddr>),
    /// The request was none.
    Refused(String),
}

/// Outcomes on the wire.
mod outcome {
    pub(super) const CONNECTED: u8 = 0;
    pub(super) const NOT_RESOLVED: u8 = 1;
    pub(super) const DENIED: u8 = 2;
    pub(super) const NOT_CONNECTED: u8 = 3;
    pub(super) const TIMED_OUT: u8 = 4;
    pub(super) const REFUSED: u8 = 5;
}

/// Fates of candidates on the wire.
mod fate {
    pub(super) const DENIED: u8 = 0;
    pub(super) const SKIPPED: u8 = 1;
    pub(super) const FAILED: u8 = 2;
    pub(super) const CONNECTED: u8 = 3;
}

impl Request {
    /// The bytes, with their length.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self::Connect(target) = self;
        let mut writer = Writer::new(CONNECT);
        writer.0.extend(target.port.to_be_bytes());
        writer.text(&target.host);
        writer.finish()
    }

    /// Reads what stands behind the length.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed("this version of the protocol is not known"));
        }
        if reader.byte()? != CONNECT {
            return Err(Malformed("this kind of request is not known"));
        }
        let port = reader.number()?;
        let host = reader.text()?;
        reader.finish()?;
        let fits = |host: &str| {
            !host.is_empty()
                && host.len() <= HOST_MAX_BYTES
                && !host.contains(|c: char| c.is_control() || c.is_whitespace())
        };
        if !fits(host) {
            return Err(Malformed("the host is no name and no address"));
        }
        Ok(Self::Connect(Target { host: host.to_owned(), port }))
    }
}

impl Answer {
    /// The bytes, with their length.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Attempted(Attempt { candidates, outcome }) => {
                let begin = |kind| {
                    let mut writer = Writer::new(kind);
                    writer.candidates(candidates);
                    writer
                };
                match outcome {
                    Ok(address) => begin(outcome::CONNECTED).with(address),
                    Err(error) => encode_failure(error, begin),
                }
            }
            Self::Refused(reason) => Writer::new(outcome::REFUSED).with(reason),
        }
        .finish()
    }

    /// Reads what stands behind the length; `target` is what was asked for.
    pub(super) fn decode(bytes: &[u8], target: &Target) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return Err(Malformed("the answer has a version that is not known"));
        }
        let kind = reader.byte()?;
        if kind == outcome::REFUSED {
            let reason = reader.text()?.to_owned();
            reader.finish()?;
            return Ok(Self::Refused(reason));
        }
        let candidates = reader.candidates()?;
        let target = target.clone();
        let outcome = match kind {
            outcome::CONNECTED => Ok(reader.parsed()?),
            outcome::NOT_RESOLVED => {
                Err(DialError::Resolve { host: target.host, source: reader.error()? })
            }
            outcome::DENIED => {
                let (address, range) = (reader.parsed()?, reader.parsed()?);
                Err(DialError::Denied { target, address, range })
            }
            outcome::NOT_CONNECTED => {
                let (address, source) = (reader.parsed()?, reader.error()?);
                Err(DialError::Connect { target, address, source })
            }
            outcome::TIMED_OUT => {
                let timeout = Duration::from_millis(reader.long_number()?.into());
                Err(DialError::TimedOut { target, timeout })
            }
            _ => return Err(Malformed("the answer has an outcome that is not known")),
        };
        reader.finish()?;
        Ok(Self::Attempted(Attempt { candidates, outcome }))
    }
}

fn encode_failure(error: &DialError, begin: impl Fn(u8) -> Writer) -> Writer {
    match error {
        DialError::Resolve { source, .. } => begin(outcome::NOT_RESOLVED).with_error(source),
        DialError::Denied { address, range, .. } => {
            begin(outcome::DENIED).with(address).with(range)
        }
        DialError::Connect { address, source, .. } => {
            begin(outcome::NOT_CONNECTED).with(address).with_error(source)
        }
        DialError::TimedOut { timeout, .. } => {
            let mut writer = begin(outcome::TIMED_OUT);
            let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
            writer.0.extend(millis.to_be_bytes());
            writer
        }
        // A broker asks no broker; if it ever does, the client hears it in words.
        DialError::Broker { .. } => Writer::new(outcome::REFUSED).with(error),
    }
}

/// Puts a message together.
struct Writer(Vec<u8>);

impl Writer {
    /// With a place for the length.
    fn new(kind: u8) -> Self {
        Self(vec![0, 0, VERSION, kind])
    }

    fn with(mut self, text: &impl ToString) -> Self {
        self.text(&text.to_string());
        self
    }

    /// The system's number where there is one, so that the other side has the same error; else
    /// the text.
    fn with_error(mut self, error: &io::Error) -> Self {
        self.0.extend(error.raw_os_error().unwrap_or_default().to_be_bytes());
        if error.raw_os_error().is_none() {
            self.0.push(u8::from(error.kind() == io::ErrorKind::NotFound));
            self.text(&error.to_string());
        }
        self
    }

    fn text(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(HOST_MAX_BYTES.max(REASON_MAX_BYTES))];
        // It was just cut to a length that fits.
        self.0.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
        self.0.extend(text.as_bytes());
    }

    fn candidates(&mut self, candidates: &[Candidate]) {
        let candidates = &candidates[..candidates.len().min(MAX_CANDIDATES)];
        self.0.push(u8::try_from(candidates.len()).unwrap_or_default());
        for candidate in candidates {
            self.text(&candidate.address.to_string());
            match &candidate.fate {
                Fate::Denied(range) => {
                    self.0.push(fate::DENIED);
                    self.text(&range.to_string());
                }
                Fate::Skipped => self.0.push(fate::SKIPPED),
                Fate::Failed(reason) => {
                    self.0.push(fate::FAILED);
                    self.text(reason);
                }
                Fate::Connected => self.0.push(fate::CONNECTED),
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        // Every part has a bound, so that the sum stays far below what two bytes can say.
        let length = u16::try_from(self.0.len() - LENGTH_BYTES).unwrap_or_default();
        self.0[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// Takes a message apart.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("the message is short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    fn number(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn long_number(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.number()?);
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(Malformed("the message is short"))?;
        self.0 = rest;
        std::str::from_utf8(taken).map_err(|_| Malformed("a text is no UTF-8"))
    }

    fn parsed<T: std::str::FromStr>(&mut self) -> Result<T, Malformed> {
        self.text()?.parse().map_err(|_| Malformed("a text is no address and no range"))
    }

    fn error(&mut self) -> Result<io::Error, Malformed> {
        let number = self.array().map(i32::from_be_bytes)?;
        if number != 0 {
            return Ok(io::Error::from_raw_os_error(number));
        }
        let not_found = self.byte()? != 0;
        let kind = if not_found { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
        Ok(io::Error::new(kind, self.text()?))
    }

    fn candidates(&mut self) -> Result<Vec<Candidate>, Malformed> {
        let count = usize::from(self.byte()?);
        if count > MAX_CANDIDATES {
            return Err(Malformed("the answer has too many addresses"));
        }
        (0..count).map(|_| self.candidate()).collect()
    }

    fn candidate(&mut self) -> Result<Candidate, Malformed> {
        let address: IpAddr = self.parsed()?;
        let fate = match self.byte()? {
            fate::DENIED => Fate::Denied(self.parsed::<IpRange>()?),
            fate::SKIPPED => Fate::Skipped,
            fate::FAILED => Fate::Failed(self.text()?.to_owned()),
            fate::CONNECTED => Fate::Connected,
            _ => return Err(Malformed("an address has a fate that is not known")),
        };
        Ok(Candidate { address, fate })
    }

    fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("the message is too long")) }
    }
}

#[cfg(test)]
#[path = "message_test.rs"]
mod message_test;
