//! Who is typing where. In memory only.
//!
//! Invariant: a room stays known after its last typist stopped, so that readers hear of it; the
//! rooms that were quiet for the longest time are forgotten beyond [`MAX_ROOMS`]. Whoever leaves a
//! room stops typing there.
//!
//! Spec: client-server API, "Typing Notifications".

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use proto::number::{RoomNumber, UserNumber};
use ruma::{OwnedUserId, RoomId};

use crate::{
    Context, Ephemeral, Error, Requester, RoomAccess, departure::hear_departures, due::Due,
    ephemeral::EphemeralChange,
};

/// Rooms whose typists are remembered.
const MAX_ROOMS: usize = 20_000;

/// Typists of one room; more than anybody can read.
const MAX_TYPISTS: usize = 100;

/// The longest time that somebody types without saying so again.
const MAX_TIMEOUT_MS: u64 = 120_000;

/// Who is typing where.
#[derive(Clone)]
pub struct Typing {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    rooms: Arc<dyn RoomAccess>,
    ephemeral: Ephemeral,
    state: Mutex<State>,
    due: Due<RoomNumber>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomNumber, Room>,
    by_change: BTreeMap<u64, RoomNumber>,
    /// The rooms where somebody is shown.
    busy: HashSet<RoomNumber>,
    /// The newest change of a room that is forgotten.
    forgotten: u64,
}

#[derive(Default)]
struct Room {
    typists: Vec<Typist>,
    /// What readers were told.
    shown: Arc<[OwnedUserId]>,
    changed: u64,
}

/// Who types, and until when unless she says so again.
struct Typist {
    user: UserNumber,
    user_id: OwnedUserId,
    until: u64,
}

/// The typing users of a room.
#[derive(Clone, Debug)]
pub struct TypingRoom {
    /// The room.
    pub room: RoomNumber,
    /// The ephemeral counter of its last change.
    pub changed: u64,
    /// Who is typing, empty when everybody stopped.
    pub users: Arc<[OwnedUserId]>,
}

impl Typing {
    /// Nobody types anywhere.
    pub fn new(context: Context, rooms: Arc<dyn RoomAccess>, ephemeral: Ephemeral) -> Self {
        let (state, due) = (Mutex::default(), Due::new());
        let inner = Arc::new(Inner { context, rooms, ephemeral, state, due });
        hear_departures(&inner.context.store, &inner, |inner, user, room| {
            Self { inner: Arc::clone(inner) }.left(user, room);
        });
        Self { inner }
    }

    /// Starts (for `timeout_ms`, at most two minutes) or stops.
    pub async fn set(
        &self,
        requester: &Requester,
        room: &RoomId,
        timeout_ms: Option<u64>,
    ) -> Result<(), Error> {
        let joined = self.inner.rooms.find_joined(requester.user(), room).await?;
        let room = joined.ok_or(Error::Forbidden("you are not in this room"))?;
        let until = timeout_ms
            .filter(|timeout_ms| *timeout_ms > 0)
            .map(|timeout_ms| self.inner.context.now_ms() + timeout_ms.min(MAX_TIMEOUT_MS));
        let user = requester.user();
        self.change(room, |typists| {
            typists.retain(|typist| typist.user != user);
            if let Some(until) = until
                && typists.len() < MAX_TYPISTS
            {
                typists.push(Typist { user, user_id: requester.user_id().to_owned(), until });
            }
        });
        Ok(())
    }

    /// Stops somebody who left the room.
    fn left(&self, user: UserNumber, room: RoomNumber) {
        let is_typing = |room: &Room| room.typists.iter().any(|typist| typist.user == user);
        if self.inner.state.lock().rooms.get(&room).is_some_and(is_typing) {
            self.change(room, |typists| typists.retain(|typist| typist.user != user));
        }
    }

    /// Changes the typists of a room, and tells readers if they are others now.
    fn change(&self, room: RoomNumber, change: impl FnOnce(&mut Vec<Typist>)) {
        self.inner.ephemeral.publish(|counter| {
            let mut state = self.inner.state.lock();
            let entry = state.rooms.entry(room).or_default();
            change(&mut entry.typists);
            self.inner.due.set(room, entry.typists.iter().map(|typist| typist.until).min());
            let mut users: Vec<OwnedUserId> =
                entry.typists.iter().map(|typist| typist.user_id.clone()).collect();
            users.sort_unstable();
            if *entry.shown == *users {
                if entry.changed == 0 {
                    state.rooms.remove(&room);
                }
                return None;
            }
            entry.shown = users.into();
            let is_busy = !entry.shown.is_empty();
            let before = std::mem::replace(&mut entry.changed, counter);
            state.by_change.remove(&before);
            state.by_change.insert(counter, room);
            if is_busy {
                state.busy.insert(room);
            } else {
                state.busy.remove(&room);
            }
            state.make_room();
            Some(EphemeralChange::Typing { room })
        });
    }

    /// The state of one room, if anybody typed there lately.
    pub fn in_room(&self, room: RoomNumber) -> Option<TypingRoom> {
        self.inner.state.lock().find(room)
    }

    /// Those of the wanted rooms where somebody is typing; costs as much as there are such rooms.
    pub fn busy(&self, is_wanted: impl Fn(RoomNumber) -> bool) -> Vec<TypingRoom> {
        let state = self.inner.state.lock();
        let busy = state.busy.iter().filter(|room| is_wanted(**room));
        busy.filter_map(|room| state.find(*room)).collect()
    }

    /// The rooms that changed after this ephemeral counter; none if one of them is forgotten.
    pub fn changed_since(&self, counter: u64) -> Option<Vec<TypingRoom>> {
        let state = self.inner.state.lock();
        if counter < state.forgotten {
            return None;
        }
        let changed = state.by_change.range(counter.saturating_add(1)..);
        Some(changed.filter_map(|(_, room)| state.find(*room)).collect())
    }

    /// Stops those whose time is over.
    pub(crate) fn expire(&self, now_ms: u64) {
        while let Some(room) = self.inner.due.take(now_ms) {
            self.change(room, |typists| typists.retain(|typist| typist.until > now_ms));
        }
    }

    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.inner.due.next_ms()
    }

    pub(crate) async fn due_sooner(&self) {
        self.inner.due.sooner().await;
    }
}

impl State {
    fn find(&self, room: RoomNumber) -> Option<TypingRoom> {
        let entry = self.rooms.get(&room)?;
        Some(TypingRoom { room, changed: entry.changed, users: Arc::clone(&entry.shown) })
    }

    /// Forgets the room that was quiet for the longest time, once there are too many.
    fn make_room(&mut self) {
        if self.rooms.len() <= MAX_ROOMS {
            return;
        }
        let quiet =
            |room: &RoomNumber| self.rooms.get(room).is_some_and(|entry| entry.typists.is_empty());
        let oldest = self.by_change.iter().find(|(_, room)| quiet(room));
        if let Some((changed, room)) = oldest.map(|(changed, room)| (*changed, *room)) {
            self.by_change.remove(&changed);
            self.rooms.remove(&room);
            self.forgotten = self.forgotten.max(changed);
        }
    }
}

#[cfg(test)]
#[path = "typing_test.rs"]
mod typing_test;
