//! The login tokens that were issued and not used, in memory.
//!
//! Invariant: at most [`MAX_LOGIN_TOKENS`]; each works once, and not after its time.
//!
//! Spec: client-server API, "Login".

use std::collections::HashMap;

use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
use store::user::token::TokenHash;

use crate::{Error, token};

/// Login tokens that wait for their use.
const MAX_LOGIN_TOKENS: usize = 10_000;

/// Login tokens: whose they are and when they expire.
#[derive(Default)]
pub(crate) struct LoginTokens {
    issued: Mutex<HashMap<TokenHash, (OwnedUserId, u64)>>,
}

impl LoginTokens {
    pub(crate) fn add(
        &self,
        token: &str,
        user_id: &UserId,
        expires_ts: u64,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut issued = self.issued.lock();
        if issued.len() >= MAX_LOGIN_TOKENS {
            issued.retain(|_, (_, expires_ts)| *expires_ts > now_ms);
        }
        if issued.len() >= MAX_LOGIN_TOKENS {
            return Err(Error::LimitExceeded("too many login tokens are waiting"));
        }
        issued.insert(token::hash(token), (user_id.to_owned(), expires_ts));
        Ok(())
    }

    pub(crate) fn take(&self, hash: &TokenHash, now_ms: u64) -> Option<OwnedUserId> {
        let (user_id, expires_ts) = self.issued.lock().remove(hash)?;
        (expires_ts > now_ms).then_some(user_id)
    }
}
