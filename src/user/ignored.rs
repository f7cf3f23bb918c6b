//! Whom a user ignores: the account data `m.ignored_user_list`, parsed and cached.

use std::{collections::HashSet, sync::Arc};

use proto::number::UserNumber;
use ruma::OwnedUserId;

use crate::Error;

/// Whom users ignore.
#[derive(Clone)]
pub struct IgnoredUsers {}

impl IgnoredUsers {
    /// The users that this one ignores; from memory after the first question.
    pub async fn of(&self, user: UserNumber) -> Result<Arc<HashSet<OwnedUserId>>, Error> {
        let _ = user;
        todo!()
    }
}
