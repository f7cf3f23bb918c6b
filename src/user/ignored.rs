//! Whom a user ignores: the account data `m.ignored_user_list`, parsed and cached.
//!
//! Spec: client-server API, "Ignoring Users".

use std::{collections::HashSet, sync::Arc};

use proto::number::UserNumber;
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value, value::RawValue};
use store::{
    Snapshot, WriteTxn,
    user::{account_data as rows, change::AccountDataChange},
};

use crate::{Context, Error, cache::Cache};

const IGNORED_USER_LIST: &str = "m.ignored_user_list";

/// What one ignored user takes in memory.
const USER_BYTES: usize = 96;

/// Whom users ignore.
#[derive(Clone)]
pub struct IgnoredUsers {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    cache: Cache<UserNumber, Arc<HashSet<OwnedUserId>>>,
}

impl IgnoredUsers {
    /// Lists over a store.
    pub fn new(context: Context) -> Self {
        let weigh = |_: &UserNumber, list: &Arc<HashSet<OwnedUserId>>| list.len() * USER_BYTES;
        let cache = Cache::new(context.cache_bytes(8), weigh);
        Self { inner: Arc::new(Inner { context, cache }) }
    }

    /// The users that this one ignores; from memory after the first question.
    pub async fn of(&self, user: UserNumber) -> Result<Arc<HashSet<OwnedUserId>>, Error> {
        let cache = &self.inner.cache;
        if let Some(list) = cache.get(&user) {
            return Ok(list);
        }
        let ticket = cache.ticket();
        let read = move |snapshot: &mut Snapshot<'_>| {
            Ok::<_, Error>(rows::find(snapshot, user, None, IGNORED_USER_LIST)?)
        };
        let content = self.inner.context.store.read(read).await?;
        let list = Arc::new(content.as_deref().map(parse).unwrap_or_default());
        cache.fill(ticket, user, Arc::clone(&list));
        Ok(list)
    }

    /// Takes a new list over when the change is committed.
    pub(crate) fn update_on_commit(&self, txn: &mut WriteTxn<'_>, change: &AccountDataChange) {
        if change.room.is_some() || &*change.data_type != IGNORED_USER_LIST {
            return;
        }
        let list = Arc::new(change.content.as_deref().map(parse).unwrap_or_default());
        let (inner, user) = (Arc::clone(&self.inner), change.user);
        txn.on_commit(Box::new(move || inner.cache.set(user, list)));
    }
}

/// The keys of `ignored_users`; what is no user ID is skipped.
fn parse(content: &RawValue) -> HashSet<OwnedUserId> {
    let content: Map<String, Value> = serde_json::from_str(content.get()).unwrap_or_default();
    let users = content.get("ignored_users").and_then(Value::as_object);
    let users = users.into_iter().flat_map(Map::keys);
    users.filter_map(|user| UserId::parse(user).ok()).collect()
}
