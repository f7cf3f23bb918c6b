//! Registration tokens: who holds one may register.

use crate::Error;

/// Registration tokens.
#[derive(Clone)]
pub struct RegistrationTokens {}

/// A registration token with its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// The token, 1 to 64 characters of `A-Z a-z 0-9 . _ ~ -`.
    pub token: String,
    /// How many registrations it is good for; none is without limit.
    pub uses_allowed: Option<u64>,
    /// Registrations under way with it.
    pub pending: u64,
    /// Registrations done with it.
    pub completed: u64,
    /// Until when it is valid, in milliseconds since the epoch; none is for ever.
    pub expiry_ts: Option<u64>,
}

impl RegistrationTokens {
    /// Makes a token; none as text makes a random one of 16 characters.
    pub async fn create(
        &self,
        token: Option<String>,
        uses_allowed: Option<u64>,
        expiry_ts: Option<u64>,
    ) -> Result<RegistrationToken, Error> {
        let _ = (token, uses_allowed, expiry_ts);
        todo!()
    }

    /// All tokens, or only the valid or the invalid ones.
    pub async fn list(&self, valid: Option<bool>) -> Result<Vec<RegistrationToken>, Error> {
        let _ = valid;
        todo!()
    }

    /// One token.
    pub async fn find(&self, token: &str) -> Result<Option<RegistrationToken>, Error> {
        let _ = token;
        todo!()
    }

    /// Changes limit and expiry: the outer `None` leaves as is.
    pub async fn update(
        &self,
        token: &str,
        uses_allowed: Option<Option<u64>>,
        expiry_ts: Option<Option<u64>>,
    ) -> Result<RegistrationToken, Error> {
        let _ = (token, uses_allowed, expiry_ts);
        todo!()
    }

    /// Removes a token; `NotFound` when there is none.
    pub async fn remove(&self, token: &str) -> Result<(), Error> {
        let _ = token;
        todo!()
    }

    /// Whether somebody could register with it now.
    pub async fn is_valid(&self, token: &str) -> Result<bool, Error> {
        let _ = token;
        todo!()
    }
}
