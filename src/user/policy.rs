//! What users' accounts mean for rooms.

use std::sync::OnceLock;

use futures_util::future::BoxFuture;
use room::{Act, Policy};
use ruma::UserId;

use crate::{Accounts, IgnoredUsers};

/// The policy of a server whose users can ask for erasure and want no invitations. Rooms are made
/// before the accounts that leave them, so both are handed in later; until then nobody does.
#[derive(Default)]
pub struct UserPolicy {
    users: OnceLock<(Accounts, IgnoredUsers)>,
}

impl UserPolicy {
    /// Hands in what users say about themselves, before anybody is served. Only the first ones
    /// count.
    pub fn bind(&self, accounts: Accounts, ignored: IgnoredUsers) {
        let _ = self.users.set((accounts, ignored));
    }
}

impl Policy for UserPolicy {
    fn check(&self, _user: &UserId, _act: Act<'_>) -> Result<(), &'static str> {
        Ok(())
    }

    fn blocks_invites<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Result<bool, store::Error>> {
        Box::pin(async move {
            match self.users.get() {
                Some((_, ignored)) => ignored.blocks_invites_by_id(user).await,
                None => Ok(false),
            }
        })
    }

    fn is_erased(&self, user: &UserId) -> bool {
        self.users.get().is_some_and(|(accounts, _)| accounts.is_erased(user))
    }
}
