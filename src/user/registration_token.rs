//! Registration tokens: who holds one may register.
//!
//! Invariant: a token never makes more accounts than it allows, since a use is counted in the
//! change that makes the account. Registrations under way are counted in memory only, so that none
//! is lost for ever by a crash.
//!
//! Spec: client-server API, "Token-authenticated registration".

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use proto::clock::random_string;
use store::{
    WriteTxn,
    user::registration_token::{self as rows, RegistrationTokenRow},
};

use crate::{Context, Error};

/// The longest token, by the spec.
const MAX_TOKEN_BYTES: usize = 64;

/// The length of a generated token.
const GENERATED_LENGTH: usize = 16;

/// Registration tokens.
#[derive(Clone)]
pub struct RegistrationTokens {
    context: Context,
    pending: Arc<Pending>,
}

/// Registrations under way, by their tokens.
#[derive(Default)]
struct Pending {
    counts: Mutex<HashMap<String, u64>>,
}

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

/// A registration under way: it counts until it is dropped.
pub(crate) struct PendingUse {
    pending: Arc<Pending>,
    token: String,
}

impl RegistrationTokens {
    /// Registration tokens over a store.
    pub fn new(context: Context) -> Self {
        Self { context, pending: Arc::default() }
    }

    /// The time now, in milliseconds since the epoch, by the clock that says when tokens expire.
    pub fn now_ms(&self) -> u64 {
        self.context.now_ms()
    }

    /// Makes a token; none as text makes a random one of 16 characters.
    pub async fn create(
        &self,
        token: Option<String>,
        uses_allowed: Option<u64>,
        expiry_ts: Option<u64>,
    ) -> Result<RegistrationToken, Error> {
        let random = || random_string(&*self.context.random, GENERATED_LENGTH);
        let token = token.unwrap_or_else(random);
        check_grammar(&token)?;
        let (wanted, now_ms) = (token.clone(), self.context.now_ms());
        if expiry_ts.is_some_and(|expiry_ts| expiry_ts < now_ms) {
            return Err(Error::InvalidParam("the expiry time lies in the past".to_owned()));
        }
        let work = move |txn: &mut WriteTxn<'_>| {
            if rows::insert(txn, &wanted, uses_allowed, expiry_ts)? {
                Ok(())
            } else {
                Err(Error::InvalidParam(format!("the token {wanted} exists already")))
            }
        };
        self.context.store.write(work).await?;
        Ok(RegistrationToken { token, uses_allowed, pending: 0, completed: 0, expiry_ts })
    }

    /// All tokens, or only the valid or the invalid ones.
    pub async fn list(&self, valid: Option<bool>) -> Result<Vec<RegistrationToken>, Error> {
        let now_ms = self.context.now_ms();
        let rows =
            self.context.store.read(|snapshot| Ok::<_, Error>(rows::list(snapshot)?)).await?;
        let tokens = rows.into_iter().map(|row| self.with_pending(row));
        Ok(tokens
            .filter(|token| valid.is_none_or(|valid| token.is_valid(now_ms) == valid))
            .collect())
    }

    /// One token.
    pub async fn find(&self, token: &str) -> Result<Option<RegistrationToken>, Error> {
        let token = token.to_owned();
        let read = move |snapshot: &mut store::Snapshot<'_>| rows::find(snapshot, &token);
        Ok(self.context.store.read(read).await?.map(|row| self.with_pending(row)))
    }

    /// Changes limit and expiry: the outer `None` leaves as is.
    pub async fn update(
        &self,
        token: &str,
        uses_allowed: Option<Option<u64>>,
        expiry_ts: Option<Option<u64>>,
    ) -> Result<RegistrationToken, Error> {
        let token = token.to_owned();
        let work = move |txn: &mut WriteTxn<'_>| {
            let mut row =
                rows::find(txn, &token)?.ok_or(Error::NotFound("no such registration token"))?;
            row.uses_allowed = uses_allowed.unwrap_or(row.uses_allowed);
            row.expiry_ts = expiry_ts.unwrap_or(row.expiry_ts);
            rows::update(txn, &token, row.uses_allowed, row.expiry_ts)?;
            Ok::<_, Error>(row)
        };
        let row = self.context.store.write(work).await?;
        Ok(self.with_pending(row))
    }

    /// Removes a token; `NotFound` when there is none.
    pub async fn remove(&self, token: &str) -> Result<(), Error> {
        let token = token.to_owned();
        let work = move |txn: &mut WriteTxn<'_>| {
            if rows::delete(txn, &token)? {
                Ok(())
            } else {
                Err(Error::NotFound("no such registration token"))
            }
        };
        self.context.store.write(work).await
    }

    /// Whether somebody could register with it now.
    pub async fn is_valid(&self, token: &str) -> Result<bool, Error> {
        let now_ms = self.context.now_ms();
        Ok(self.find(token).await?.is_some_and(|token| token.is_valid(now_ms)))
    }

    /// Takes a use of the token for a registration under way; none when it is not good for another
    /// one.
    pub(crate) async fn reserve(&self, token: &str) -> Result<Option<PendingUse>, Error> {
        let Some(found) = self.find(token).await? else { return Ok(None) };
        let mut counts = self.pending.counts.lock();
        let count = counts.get(token).copied().unwrap_or(0);
        // Counted again under the lock: another registration may have come between.
        if !(RegistrationToken { pending: count, ..found }).is_valid(self.context.now_ms()) {
            return Ok(None);
        }
        counts.insert(token.to_owned(), count + 1);
        drop(counts);
        Ok(Some(PendingUse { pending: Arc::clone(&self.pending), token: token.to_owned() }))
    }

    fn with_pending(&self, row: RegistrationTokenRow) -> RegistrationToken {
        let pending = self.pending.counts.lock().get(&row.token).copied().unwrap_or(0);
        let RegistrationTokenRow { token, uses_allowed, completed, expiry_ts } = row;
        RegistrationToken { token, uses_allowed, pending, completed, expiry_ts }
    }
}

impl RegistrationToken {
    /// Whether somebody could register with it at this time.
    pub fn is_valid(&self, now_ms: u64) -> bool {
        let used = self.completed.saturating_add(self.pending);
        self.uses_allowed.is_none_or(|allowed| used < allowed)
            && self.expiry_ts.is_none_or(|expiry_ts| now_ms < expiry_ts)
    }
}

impl PendingUse {
    /// The token that it is a use of.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for PendingUse {
    fn drop(&mut self) {
        let mut counts = self.pending.counts.lock();
        if let Some(count) = counts.get_mut(&self.token) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.token);
            }
        }
    }
}

fn check_grammar(token: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !token.chars().all(allowed) {
        let reason = "a registration token has 1 to 64 characters of A-Z, a-z, 0-9 and . _ ~ -";
        return Err(Error::InvalidParam(reason.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "registration_token_test.rs"]
mod registration_token_test;
