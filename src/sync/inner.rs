//! What all requests share: what the handle is made from, the notifier, the members that clients
//! know, parsed filters.

use std::sync::Arc;

use moka::sync::Cache;
use proto::{clock::SharedClock, meter::Gauge};
use room::Rooms;
use store::Store;
use user::{Ephemeral, Filters, IgnoredUsers, Presence, Requester, Typing};

use crate::{
    Error,
    filter::{FilterError, SyncFilter},
    lazy::KnownMembers,
    membership::{Membership, Memberships},
    notifier::{Notifier, Waiter},
    token::Head,
};

/// Inline filters that are kept parsed.
const FILTERS_MAX: u64 = 1_000;
/// An inline filter that is longer is parsed each time.
const FILTER_KEPT_BYTES_MAX: usize = 4_096;

/// What [`crate::Sync`] is made from.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The rooms.
    pub rooms: Rooms,
    /// Stored filters.
    pub filters: Filters,
    /// Whom users ignore.
    pub ignored: IgnoredUsers,
    /// Who is typing.
    pub typing: Typing,
    /// Who is online.
    pub presence: Presence,
    /// The order of what is not durable.
    pub ephemeral: Ephemeral,
    /// The wall clock.
    pub clock: SharedClock,
}

/// What [`crate::Sync`] shares with its requests.
pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) notifier: Notifier,
    pub(crate) known: KnownMembers,
    /// Requests that wait for something to tell.
    pub(crate) waiting: Gauge,
    filters: Cache<String, Arc<SyncFilter>>,
}

impl Inner {
    /// Nobody waits yet, and nothing is known that came before the head.
    pub(crate) fn new(parts: Parts, head: Head) -> Self {
        let (notifier, known) = (Notifier::new(head), KnownMembers::new());
        let filters = Cache::new(FILTERS_MAX);
        Self { parts, notifier, known, waiting: Gauge::default(), filters }
    }

    /// The filter that a request names: none, JSON, or the id of a stored one.
    pub(crate) async fn filter(
        &self,
        requester: &Requester,
        filter: Option<&str>,
    ) -> Result<Arc<SyncFilter>, Error> {
        let Some(text) = filter else { return self.parsed("{}") };
        if text.starts_with('{') {
            return self.parsed(text);
        }
        let stored = self.parts.filters.find_json(requester, text).await?;
        let stored = stored.ok_or(FilterError::Unknown)?;
        self.parsed(stored.get())
    }

    fn parsed(&self, json: &str) -> Result<Arc<SyncFilter>, Error> {
        if let Some(filter) = self.filters.get(json) {
            return Ok(filter);
        }
        let filter = Arc::new(SyncFilter::parse(json)?);
        if json.len() <= FILTER_KEPT_BYTES_MAX {
            self.filters.insert(json.to_owned(), Arc::clone(&filter));
        }
        Ok(filter)
    }

    /// The requester's waiter; her memberships are read when she comes for the first time.
    pub(crate) async fn waiter(&self, requester: &Requester) -> Result<Arc<Waiter>, Error> {
        let user = requester.user();
        loop {
            if let Some(waiter) = self.notifier.find(user) {
                return Ok(waiter);
            }
            let begun = self.notifier.begin(user, requester.user_id());
            let rooms = self.parts.rooms.memberships(user).await?;
            let memberships = rooms
                .values()
                .map(|room| (room.room, Membership::from(&**room)))
                .collect::<Memberships>();
            let newest = memberships.values().map(|membership| membership.position).max();
            self.notifier.complete(user, begun, memberships);
            // What was read may be ahead of what has been published.
            let newest = newest.unwrap_or_default();
            self.notifier.reach(newest, self.parts.store.log()).await;
        }
    }
}
