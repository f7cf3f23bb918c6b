//! Presence: who is online. In memory only.
//!
//! Each device asks for a state: with `PUT /presence`, or by syncing. A device counts while it
//! syncs and for some time more; one that asks for `online` is `unavailable` once the user did
//! nothing on it for a while (`presence_record` says how long). The user's state is the best of her
//! devices'.
//!
//! ```text
//!   offline ──sync, PUT──▶ online ──idle for 5 min──▶ unavailable ──does something──▶ online
//!      ▲                      │                            │
//!      └──────────────────────┴──no sync for 30 s──────────┘
//! ```
//!
//! Invariant: what readers are shown changes only under the ephemeral counter; between two changes
//! the time of the last activity may move, as the spec allows while the user is currently active.
//!
//! Spec: client-server API, "Presence".

use std::sync::Arc;

use parking_lot::Mutex;
use proto::number::{RoomNumber, UserNumber};
use ruma::{UserId, presence::PresenceState};

use crate::{
    Context, Ephemeral, Error, Requester, RoomAccess,
    departure::hear_departures,
    due::Due,
    ephemeral::EphemeralChange,
    presence_record::{Record, Records, Shown},
};

pub use crate::presence_record::UserPresence;

/// The most bytes of a status message.
const MAX_STATUS_BYTES: usize = 1024;

/// Who is online.
#[derive(Clone)]
pub struct Presence {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    rooms: Arc<dyn RoomAccess>,
    ephemeral: Ephemeral,
    records: Mutex<Records>,
    due: Due<UserNumber>,
}

impl Presence {
    /// Everybody is offline.
    pub fn new(context: Context, rooms: Arc<dyn RoomAccess>, ephemeral: Ephemeral) -> Self {
        let (records, due) = (Mutex::default(), Due::new());
        let inner = Arc::new(Inner { context, rooms, ephemeral, records, due });
        hear_departures(&inner.context.store, &inner, |inner, user, room| {
            inner.records.lock().leave(user, room);
        });
        Self { inner }
    }

    fn is_enabled(&self) -> bool {
        self.inner.context.settings().presence_enabled
    }

    /// Sets state and message (`PUT /presence/{userId}/status`).
    pub async fn set(
        &self,
        requester: &Requester,
        state: PresenceState,
        status_msg: Option<String>,
    ) -> Result<(), Error> {
        if status_msg.as_ref().is_some_and(|status| status.len() > MAX_STATUS_BYTES) {
            return Err(Error::InvalidParam("the status message is too long".to_owned()));
        }
        if !matches!(
            state,
            PresenceState::Online | PresenceState::Unavailable | PresenceState::Offline
        ) {
            return Err(Error::InvalidParam("unknown state of presence".to_owned()));
        }
        if !self.is_enabled() {
            return Ok(());
        }
        self.update(requester, |record, now_ms| {
            record.ask(requester.device(), &state, now_ms);
            if state == PresenceState::Online {
                record.act(requester.device(), now_ms);
            }
            record.status_msg = status_msg;
        })
        .await
    }

    /// The presence of a user as the requester may see it: her own, or that of somebody she shares
    /// a room with.
    pub async fn find(
        &self,
        requester: &Requester,
        user_id: &UserId,
    ) -> Result<UserPresence, Error> {
        let hidden = Error::Forbidden("you may not see this user's presence");
        let Some(user) = self.inner.context.find_user(user_id).await? else { return Err(hidden) };
        if user != requester.user() && !self.share_room(requester.user(), user).await? {
            return Err(hidden);
        }
        let now_ms = self.inner.context.now_ms();
        let known = self.inner.records.lock().find(user, now_ms);
        Ok(known.unwrap_or_else(|| UserPresence {
            user_id: user_id.to_owned(),
            state: PresenceState::Offline,
            status_msg: None,
            last_active_ago_ms: None,
            currently_active: false,
            changed: 0,
            rooms: Arc::default(),
        }))
    }

    async fn share_room(&self, one: UserNumber, other: UserNumber) -> Result<bool, Error> {
        let theirs = self.inner.rooms.joined_rooms(other).await?;
        let ours = self.inner.rooms.joined_rooms(one).await?;
        Ok(ours.iter().any(|(room, _)| theirs.iter().any(|(their, _)| their == room)))
    }

    /// Notes a `/sync` with its `set_presence`; dropping the guard ends it, and the user is online
    /// for 30 s more.
    pub async fn syncing(
        &self,
        requester: &Requester,
        set_presence: &PresenceState,
    ) -> Result<SyncingGuard, Error> {
        let guard = SyncingGuard { presence: None };
        if *set_presence == PresenceState::Offline || !self.is_enabled() {
            return Ok(guard);
        }
        let device = requester.device();
        self.update(requester, |record, now_ms| {
            record.ask(device, set_presence, now_ms);
            record.begin_sync(device);
        })
        .await?;
        Ok(SyncingGuard { presence: Some((self.clone(), requester.user(), device)) })
    }

    /// Notes that the user did something.
    pub async fn active(&self, requester: &Requester) -> Result<(), Error> {
        if !self.is_enabled() {
            return Ok(());
        }
        self.update(requester, |record, now_ms| record.act(requester.device(), now_ms)).await
    }

    /// Everybody whose presence changed after this ephemeral counter; 0 gives everybody whom it
    /// knows.
    pub fn changed_since(&self, counter: u64) -> Vec<UserPresence> {
        self.inner.records.lock().changed_since(counter, self.inner.context.now_ms())
    }

    /// Changes a record, and tells readers if they see something else now.
    async fn update(
        &self,
        requester: &Requester,
        change: impl FnOnce(&mut Record, u64),
    ) -> Result<(), Error> {
        let now_ms = self.inner.context.now_ms();
        let user = requester.user();
        {
            let mut records = self.inner.records.lock();
            let record = records.get_or_insert(user, requester.user_id());
            change(record, now_ms);
            record.drop_gone(now_ms);
            self.inner.due.set(user, record.next_due_ms(now_ms));
            if record.shown == record.visible(now_ms) {
                return Ok(());
            }
        }
        self.show(user).await
    }

    /// Shows readers what is to be seen of a user, if it is anything new.
    async fn show(&self, user: UserNumber) -> Result<(), Error> {
        let joined = self.inner.rooms.joined_rooms(user).await?;
        let rooms: Arc<[RoomNumber]> = joined.into_iter().map(|(room, _)| room).collect();
        let now_ms = self.inner.context.now_ms();
        self.inner.ephemeral.publish(|counter| {
            let mut records = self.inner.records.lock();
            let record = records.get_mut(user)?;
            let visible: Shown = record.visible(now_ms);
            if record.shown == visible {
                return None;
            }
            record.shown = visible;
            record.rooms = Arc::clone(&rooms);
            let user_id = record.user_id.clone();
            self.inner.due.set(user, record.next_due_ms(now_ms));
            records.set_changed(user, counter);
            Some(EphemeralChange::Presence { user: user_id, rooms })
        });
        Ok(())
    }

    /// Looks at those whose state time has changed.
    pub(crate) async fn expire(&self, now_ms: u64) -> Result<(), Error> {
        while let Some(user) = self.inner.due.take(now_ms) {
            let is_new = {
                let mut records = self.inner.records.lock();
                let Some(record) = records.get_mut(user) else { continue };
                record.drop_gone(now_ms);
                self.inner.due.set(user, record.next_due_ms(now_ms));
                record.shown != record.visible(now_ms)
            };
            if is_new {
                self.show(user).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.inner.due.next_ms()
    }

    pub(crate) async fn due_sooner(&self) {
        self.inner.due.sooner().await;
    }

    fn end_sync(&self, user: UserNumber, device: i64) {
        let now_ms = self.inner.context.now_ms();
        let mut records = self.inner.records.lock();
        if let Some(record) = records.get_mut(user) {
            record.end_sync(device, now_ms);
            self.inner.due.set(user, record.next_due_ms(now_ms));
        }
    }
}

/// A running `/sync`.
#[must_use = "the sync ends when it is dropped"]
pub struct SyncingGuard {
    presence: Option<(Presence, UserNumber, i64)>,
}

impl Drop for SyncingGuard {
    fn drop(&mut self) {
        if let Some((presence, user, device)) = self.presence.take() {
            presence.end_sync(user, device);
        }
    }
}

#[cfg(test)]
#[path = "presence_test.rs"]
mod presence_test;
