//! What users' accounts mean for rooms.

use std::sync::OnceLock;

use room::{Act, Policy};
use ruma::UserId;

use crate::Accounts;

/// The policy of a server whose users can ask for erasure. Rooms are made before the accounts that
/// leave them, so the accounts are handed in later; until then nobody is erased.
#[derive(Default)]
pub struct UserPolicy {
    accounts: OnceLock<Accounts>,
}

impl UserPolicy {
    /// Hands the accounts in, before anybody is served. Only the first ones count.
    pub fn bind(&self, accounts: Accounts) {
        let _ = self.accounts.set(accounts);
    }
}

impl Policy for UserPolicy {
    fn check(&self, _user: &UserId, _act: Act<'_>) -> Result<(), &'static str> {
        Ok(())
    }

    fn is_erased(&self, user: &UserId) -> bool {
        self.accounts.get().is_some_and(|accounts| accounts.is_erased(user))
    }
}
