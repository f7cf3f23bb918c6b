//! A user's rooms: from a cache that is fed at each commit.
//!
//! Invariant: whoever loads a user's rooms misses nothing: from the moment on when the entry
//! stands, commits are noted beside it, and they are applied on top of what was read. An entry may
//! go before the read is over; what was read for it is then no one else's.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use proto::number::{EventNumber, Position, RoomNumber, UserNumber};
use ruma::{OwnedRoomId, UserId};
use store::room::members::{self, UserRow};

use crate::{Membership, RoomError, RoomView, Rooms, view::Member};

/// How many users' rooms are kept ready; beyond it those not asked for longest make room.
const USERS_MAX: usize = 20_000;
/// How many make room at once: one in so many.
const EVICTED_SHARE: usize = 8;
/// How many commits are noted beside an entry that is being read. A read that takes longer was
/// probably given up.
const LATE_MAX: usize = 1_000;

/// How a user stands to one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRoom {
    /// The room's number.
    pub room: RoomNumber,
    /// The room's id.
    pub room_id: OwnedRoomId,
    /// The membership.
    pub membership: Membership,
    /// The member event that says so.
    pub event: EventNumber,
    /// The position of the state change that made it current.
    pub position: Position,
    /// Where the last stay in the room ended; `None` if there was none, meaningless while joined.
    pub joined_until: Option<Position>,
    /// Whether the user has forgotten the room.
    pub forgotten: bool,
}

/// A user's rooms, by number, those left and forgotten included.
pub type UserRooms = imbl::OrdMap<RoomNumber, Arc<UserRoom>>;

/// A membership that was just committed.
#[derive(Clone, Debug)]
pub(crate) struct UserChange {
    pub(crate) user: UserNumber,
    /// `None` if the state does not name the user any more.
    pub(crate) member: Option<Member>,
    pub(crate) position: Position,
}

/// The rooms of users who were asked for.
#[derive(Default)]
pub(crate) struct UserCache {
    users: Mutex<Users>,
}

#[derive(Default)]
struct Users {
    entries: HashMap<UserNumber, Entry>,
    /// Counts questions, to find out who was not asked for longest.
    clock: u64,
}

#[derive(Default)]
struct Entry {
    /// `None` while they are being read.
    rooms: Option<UserRooms>,
    /// What was committed meanwhile.
    late: Vec<Late>,
    used: u64,
    begun: Begun,
}

/// Tells an entry from another one of the same user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Begun(u64);

#[derive(Clone)]
struct Late {
    room: RoomNumber,
    room_id: OwnedRoomId,
    change: UserChange,
}

impl UserCache {
    /// Takes a committed change in. Called on the writer's thread.
    pub(crate) fn apply(&self, view: &RoomView, change: UserChange) {
        self.note(Late { room: view.number, room_id: view.id.clone(), change });
    }

    fn note(&self, late: Late) {
        let (mut users, user) = (self.users.lock(), late.change.user);
        let Some(entry) = users.entries.get_mut(&user) else { return };
        match &mut entry.rooms {
            Some(rooms) => late.apply(rooms),
            None if entry.late.len() < LATE_MAX => entry.late.push(late),
            None => {
                users.entries.remove(&user);
            }
        }
    }

    /// Notes that a user has forgotten a room. Called on the writer's thread.
    pub(crate) fn forget(&self, user: UserNumber, room: RoomNumber) {
        let mut users = self.users.lock();
        let Some(entry) = users.entries.get_mut(&user) else { return };
        match entry.rooms.as_mut().and_then(|rooms| rooms.get_mut(&room)) {
            Some(room) => Arc::make_mut(room).forgotten = true,
            // Being read by a snapshot that may be older: it is read again.
            None => {
                users.entries.remove(&user);
            }
        }
    }

    /// The user's rooms, or the entry for which they are to be read.
    fn get(&self, user: UserNumber) -> Result<UserRooms, Begun> {
        let mut users = self.users.lock();
        users.clock += 1;
        let used = users.clock;
        if users.entries.len() >= USERS_MAX {
            users.evict();
        }
        let new = || Entry { begun: Begun(used), ..Entry::default() };
        let entry = users.entries.entry(user).or_insert_with(new);
        entry.used = used;
        entry.rooms.clone().ok_or(entry.begun)
    }

    /// Takes in what was read for an entry; it is kept only if that entry still stands.
    fn fill(&self, user: UserNumber, begun: Begun, rows: Vec<UserRow>) -> UserRooms {
        let mut rooms = UserRooms::new();
        for row in rows {
            rooms.insert(row.member.room, Arc::new(UserRoom::from(row)));
        }
        let mut users = self.users.lock();
        if let Some(entry) = users.entries.get_mut(&user) {
            if let Some(rooms) = &entry.rooms {
                return rooms.clone();
            }
            if entry.begun != begun {
                return rooms;
            }
            for late in std::mem::take(&mut entry.late) {
                late.apply(&mut rooms);
            }
            entry.rooms = Some(rooms.clone());
        }
        rooms
    }
}

impl Users {
    fn evict(&mut self) {
        let mut used = self.entries.values().map(|entry| entry.used).collect::<Vec<_>>();
        let place = used.len() / EVICTED_SHARE;
        let (_, oldest, _) = used.select_nth_unstable(place);
        let oldest = *oldest;
        self.entries.retain(|_, entry| entry.used > oldest);
    }
}

impl Late {
    fn apply(self, rooms: &mut UserRooms) {
        let Self { room, room_id, change } = self;
        let before = rooms.get(&room);
        if before.is_some_and(|before| before.position >= change.position) {
            return;
        }
        let Some(member) = change.member else {
            rooms.remove(&room);
            return;
        };
        let was_joined = before.is_some_and(|before| before.membership == Membership::Join);
        let joined_until = if was_joined && member.membership != Membership::Join {
            Some(change.position)
        } else {
            before.and_then(|before| before.joined_until)
        };
        let entry = UserRoom {
            room,
            room_id,
            membership: member.membership,
            event: member.event,
            position: change.position,
            joined_until,
            forgotten: false,
        };
        rooms.insert(room, Arc::new(entry));
    }
}

impl From<UserRow> for UserRoom {
    fn from(row: UserRow) -> Self {
        Self {
            room: row.member.room,
            room_id: row.room_id,
            membership: row.member.membership,
            event: row.member.event,
            position: row.member.position,
            joined_until: row.joined_until,
            forgotten: row.forgotten,
        }
    }
}

impl Rooms {
    /// A user's rooms as of the newest commit. Cheap for whoever asks again.
    pub async fn memberships(&self, user: UserNumber) -> Result<UserRooms, RoomError> {
        let begun = match self.inner.users.get(user) {
            Ok(rooms) => return Ok(rooms),
            Err(begun) => begun,
        };
        let read =
            self.inner.setup.store.read(move |snapshot| members::list_of_user(snapshot, user));
        let rows: Vec<UserRow> = read.await?;
        Ok(self.inner.users.fill(user, begun, rows))
    }

    /// The rooms that a user is joined to.
    pub async fn joined_rooms(&self, user: &UserId) -> Result<Vec<OwnedRoomId>, RoomError> {
        let Some(user) = self.inner.find_user(user).await? else { return Ok(Vec::new()) };
        let rooms = self.memberships(user).await?;
        let joined = rooms.values().filter(|room| room.membership == Membership::Join);
        Ok(joined.map(|room| room.room_id.clone()).collect())
    }
}

#[cfg(test)]
#[path = "users_test.rs"]
mod tests;
