//! What users do not want to hear: whom they ignore (`m.ignored_user_list`), and whether they want
//! no invitations (`m.invite_permission_config`). Parsed from their account data and cached.
//!
//! Spec: client-server API, "Ignoring Users", "Invite permission".

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
const INVITE_PERMISSION: &str = "m.invite_permission_config";

/// What one ignored user takes in memory.
const USER_BYTES: usize = 96;

/// Whom users ignore, and who wants no invitations.
#[derive(Clone)]
pub struct IgnoredUsers {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    cache: Cache<UserNumber, Unwanted>,
}

/// What one user does not want to hear.
#[derive(Clone, Default)]
struct Unwanted {
    ignored: Arc<HashSet<OwnedUserId>>,
    blocks_invites: bool,
}

impl IgnoredUsers {
    /// Lists over a store.
    pub fn new(context: Context) -> Self {
        let weigh = |_: &UserNumber, unwanted: &Unwanted| unwanted.ignored.len() * USER_BYTES;
        let cache = Cache::new(context.cache_bytes(8), weigh);
        Self { inner: Arc::new(Inner { context, cache }) }
    }

    /// The users that this one ignores; from memory after the first question.
    pub async fn of(&self, user: UserNumber) -> Result<Arc<HashSet<OwnedUserId>>, Error> {
        Ok(self.unwanted(user).await?.ignored)
    }

    /// Whether the user wants no invitations; from memory after the first question.
    pub async fn blocks_invites(&self, user: UserNumber) -> Result<bool, Error> {
        Ok(self.unwanted(user).await?.blocks_invites)
    }

    /// The same of a user who may not even have an account. Invitations are rare, so that the store
    /// is asked.
    pub(crate) async fn blocks_invites_by_id(&self, user: &UserId) -> Result<bool, store::Error> {
        let user = user.to_owned();
        let read = move |snapshot: &mut Snapshot<'_>| {
            let Some(user) = snapshot.find_user(&user)? else { return Ok(false) };
            let content = rows::find(snapshot, user, None, INVITE_PERMISSION)?;
            Ok::<_, store::Error>(content.as_deref().is_some_and(parse_block))
        };
        self.inner.context.store.read(read).await
    }

    async fn unwanted(&self, user: UserNumber) -> Result<Unwanted, Error> {
        let cache = &self.inner.cache;
        if let Some(unwanted) = cache.get(&user) {
            return Ok(unwanted);
        }
        let ticket = cache.ticket();
        let read = move |snapshot: &mut Snapshot<'_>| {
            let ignored = rows::find(snapshot, user, None, IGNORED_USER_LIST)?;
            let permission = rows::find(snapshot, user, None, INVITE_PERMISSION)?;
            Ok::<_, Error>(Unwanted {
                ignored: Arc::new(ignored.as_deref().map(parse_list).unwrap_or_default()),
                blocks_invites: permission.as_deref().is_some_and(parse_block),
            })
        };
        let unwanted: Unwanted = self.inner.context.store.read(read).await?;
        cache.fill(ticket, user, unwanted.clone());
        Ok(unwanted)
    }

    /// Forgets what was known when the change is committed.
    pub(crate) fn update_on_commit(&self, txn: &mut WriteTxn<'_>, change: &AccountDataChange) {
        let is_about_it = matches!(&*change.data_type, IGNORED_USER_LIST | INVITE_PERMISSION);
        if change.room.is_some() || !is_about_it {
            return;
        }
        let (inner, user) = (Arc::clone(&self.inner), change.user);
        txn.on_commit(Box::new(move || inner.cache.forget(&user)));
    }
}

/// The keys of `ignored_users`; what is no user ID is skipped.
fn parse_list(content: &RawValue) -> HashSet<OwnedUserId> {
    let content: Map<String, Value> = serde_json::from_str(content.get()).unwrap_or_default();
    let users = content.get("ignored_users").and_then(Value::as_object);
    let users = users.into_iter().flat_map(Map::keys);
    users.filter_map(|user| UserId::parse(user).ok()).collect()
}

/// Whether `default_action` is `block`; whatever else it says means that invitations are welcome.
fn parse_block(content: &RawValue) -> bool {
    let content: Map<String, Value> = serde_json::from_str(content.get()).unwrap_or_default();
    content.get("default_action").and_then(Value::as_str) == Some("block")
}
