//! Who has to hear of what: the recent changes by topic, the memberships of users who sync, and
//! their wake-up calls.
//!
//! Invariants. (1) A user's `changed` is raised before the head is: whoever reads the head first
//! and `changed` after it cannot miss a change that the head covers. (2) A waiter registers before
//! it looks, so no wake-up is lost. (3) The memberships here are those at the head. (4) The store's
//! listener is a hint that there is something in its log; what counts is what the log holds.
//! Nothing is kept for users who do not sync; they are loaded when they come.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use proto::number::{EventNumber, Position, RoomNumber, UserNumber};
use room::Event;
use ruma::{OwnedUserId, UserId};
use store::{
    Change,
    log::{Log, Record},
};
use tokio::sync::Notify;
use user::ephemeral::EphemeralChange;

use crate::{
    concern::{Concern, concern},
    membership::{Membership, Memberships},
    recent::{Recent, Topic},
    token::{Head, SyncToken},
};

/// How long to trust the listener before looking into the log again.
const LOG_LOOK: Duration = Duration::from_millis(5);
/// Users in memory; beyond it those without a waiter who have not synced for longest make room.
const USERS_MAX: usize = 20_000;

/// Wakes those who wait and tells what is new.
pub(crate) struct Notifier {
    epoch: u64,
    /// The newest position that every user here has been told about.
    head: AtomicU64,
    /// The same for what is not durable.
    ephemeral: AtomicU64,
    /// Rings whenever the head moves.
    moved: Notify,
    inner: Mutex<Inner>,
}

struct Inner {
    recent: Recent<Arc<Record>>,
    users: HashMap<UserNumber, Entry>,
    numbers: HashMap<OwnedUserId, UserNumber>,
    /// The users here who are joined to a room.
    rooms: HashMap<RoomNumber, HashMap<UserNumber, Arc<Waiter>>>,
    users_max: usize,
    /// Counts requests, to find out who has not synced for longest.
    clock: u64,
}

struct Entry {
    user_id: OwnedUserId,
    waiter: Arc<Waiter>,
    memberships: Memberships,
    /// False while the memberships are being read.
    loaded: bool,
    used: u64,
    /// Tells it from another entry of the same user.
    begun: u64,
}

/// What a user's requests wait on.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    changed: AtomicU64,
    ephemeral: AtomicU64,
    bell: Notify,
}

impl Waiter {
    /// Whether anything may have happened that the holder of this token does not know.
    pub(crate) fn has_news(&self, since: &SyncToken) -> bool {
        self.changed.load(Ordering::Acquire) > since.position.0
            || self.ephemeral.load(Ordering::Acquire) > since.ephemeral
    }

    /// Completes at the next change; it has to be enabled before looking at what there is.
    pub(crate) fn bell(&self) -> &Notify {
        &self.bell
    }
}

/// A user as far as the head knows her, and what happened since a position, as far as it concerns
/// her.
pub(crate) struct Standing {
    /// The position that all of this belongs to.
    pub(crate) position: Position,
    /// Her rooms.
    pub(crate) memberships: Memberships,
    /// What happened; none if not all of it is in memory.
    pub(crate) news: Option<News>,
}

/// What happened after a position.
#[derive(Default)]
pub(crate) struct News {
    /// What concerns her alone, member events of hers included.
    pub(crate) own: Vec<Arc<Record>>,
    /// What happened in rooms that she is joined to.
    pub(crate) rooms: HashMap<RoomNumber, Vec<Arc<Record>>>,
}

impl News {
    /// A state event that became current, if it did so lately.
    pub(crate) fn find(&self, number: EventNumber) -> Option<Arc<Event>> {
        let mut records = self.own.iter().chain(self.rooms.values().flatten());
        let event = |record: &Arc<Record>| match &record.change {
            Change::State { new, event, .. } if *new == Some(number) => event.clone(),
            _ => None,
        };
        records.find_map(event)
    }
}

impl Notifier {
    /// Begins at a position after which the log misses nothing.
    pub(crate) fn new(head: Head) -> Self {
        let inner = Inner {
            recent: Recent::new(head.position),
            users: HashMap::new(),
            numbers: HashMap::new(),
            rooms: HashMap::new(),
            users_max: USERS_MAX,
            clock: 0,
        };
        Self {
            epoch: head.epoch,
            head: AtomicU64::new(head.position.0),
            ephemeral: AtomicU64::new(head.ephemeral),
            moved: Notify::new(),
            inner: Mutex::new(inner),
        }
    }

    /// How far everybody has been told.
    pub(crate) fn head(&self) -> Head {
        Head {
            position: Position(self.head.load(Ordering::Acquire)),
            epoch: self.epoch,
            ephemeral: self.ephemeral.load(Ordering::Acquire),
        }
    }

    /// How many users are followed.
    pub(crate) fn users(&self) -> usize {
        self.inner.lock().users.len()
    }

    /// Waits until the head has reached a position that is committed. It is on its way: publishing
    /// follows the commit.
    pub(crate) async fn reach(&self, position: Position, log: &Log) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.head.load(Ordering::Acquire) >= position.0 {
                return;
            }
            // The log is ahead of its listener, or has moved by positions that nobody hears of.
            self.catch_up(log);
            if self.head.load(Ordering::Acquire) >= position.0 {
                return;
            }
            let _ = tokio::time::timeout(LOG_LOOK, moved).await;
        }
    }

    /// Takes in what the log holds beyond the head, and wakes those whom it concerns.
    pub(crate) fn catch_up(&self, log: &Log) {
        let mut inner = self.inner.lock();
        // The head is read first: what the log gives after that reaches at least so far.
        let (head, since) = (log.head(), inner.recent.head());
        if head <= since {
            return;
        }
        let woken = match log.between(since, head) {
            Some(records) => inner.take_in(&records, head, log.floor()),
            None => inner.start_anew(head),
        };
        // Under the lock, so that nobody gets a token from beyond the head.
        self.head.fetch_max(head.0, Ordering::Release);
        drop(inner);
        self.wake(woken);
    }

    fn wake(&self, woken: Vec<Arc<Waiter>>) {
        self.moved.notify_waiters();
        for waiter in woken {
            waiter.bell.notify_waiters();
        }
    }

    /// Takes an ephemeral change in.
    pub(crate) fn publish_ephemeral(&self, counter: u64, change: &EphemeralChange) {
        let woken = self.inner.lock().concerned(change);
        for waiter in &woken {
            waiter.ephemeral.fetch_max(counter, Ordering::Release);
        }
        self.advance_ephemeral(counter);
        for waiter in woken {
            waiter.bell.notify_waiters();
        }
    }

    /// Moves on to a counter up to which nobody here missed anything.
    pub(crate) fn advance_ephemeral(&self, counter: u64) {
        self.ephemeral.fetch_max(counter, Ordering::Release);
    }

    /// The waiter of a user who is here.
    pub(crate) fn find(&self, user: UserNumber) -> Option<Arc<Waiter>> {
        let mut inner = self.inner.lock();
        inner.clock += 1;
        let clock = inner.clock;
        let entry = inner.users.get_mut(&user).filter(|entry| entry.loaded)?;
        entry.used = clock;
        Some(Arc::clone(&entry.waiter))
    }

    /// Begins to follow a user whose memberships are read next; changes from now on are not missed.
    /// Says what to call [`Self::complete`] with.
    pub(crate) fn begin(&self, user: UserNumber, user_id: &UserId) -> u64 {
        let mut inner = self.inner.lock();
        inner.make_room();
        inner.clock += 1;
        let begun = inner.clock;
        if let Some(entry) = inner.users.get(&user) {
            return entry.begun;
        }
        let entry = Entry {
            user_id: user_id.to_owned(),
            waiter: Arc::default(),
            memberships: Memberships::new(),
            loaded: false,
            used: begun,
            begun,
        };
        inner.users.insert(user, entry);
        inner.numbers.insert(user_id.to_owned(), user);
        begun
    }

    /// Completes what [`Self::begin`] began, unless it was given up meanwhile. What was heard
    /// meanwhile is newer than what was read.
    pub(crate) fn complete(&self, user: UserNumber, begun: u64, read: Memberships) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let Some(entry) = inner.users.get_mut(&user) else { return };
        if entry.loaded || entry.begun != begun {
            return;
        }
        let head = inner.recent.head();
        for (room, membership) in read {
            let newer = entry
                .memberships
                .get(&room)
                .is_some_and(|heard| heard.position >= membership.position);
            if !newer {
                entry.memberships.insert(room, membership);
            }
        }
        for (room, membership) in &entry.memberships {
            if membership.is_joined() {
                let users = inner.rooms.entry(*room).or_default();
                users.insert(user, Arc::clone(&entry.waiter));
            }
        }
        entry.loaded = true;
        // Nobody knows what happened before, so whoever asks has to look once.
        entry.waiter.changed.store(head.0, Ordering::Release);
        entry.waiter.ephemeral.store(self.ephemeral.load(Ordering::Acquire), Ordering::Release);
    }

    /// A user who is here, and what happened since a position, if there is one.
    pub(crate) fn standing(&self, user: UserNumber, since: Option<Position>) -> Option<Standing> {
        let inner = self.inner.lock();
        let entry = inner.users.get(&user).filter(|entry| entry.loaded)?;
        let recent = &inner.recent;
        let memberships = entry.memberships.clone();
        let news = since.filter(|since| recent.covers(*since)).map(|since| News {
            own: recent.of(Topic::User(user), since).cloned().collect(),
            rooms: touched_rooms(recent, since, &memberships)
                .into_iter()
                .map(|room| (room, recent.of(Topic::Room(room), since).cloned().collect()))
                .collect(),
        });
        Some(Standing { position: recent.head(), memberships, news })
    }

    /// The changes of one room after a position, if all since then are here.
    pub(crate) fn room_since(&self, room: RoomNumber, since: Position) -> Option<Vec<Arc<Record>>> {
        let inner = self.inner.lock();
        let recent = &inner.recent;
        recent.covers(since).then(|| recent.of(Topic::Room(room), since).cloned().collect())
    }

    /// All changes of one room that are still here, and the position after which nothing is
    /// missing.
    pub(crate) fn room_tail(&self, room: RoomNumber) -> (Position, Vec<Arc<Record>>) {
        let inner = self.inner.lock();
        let recent = &inner.recent;
        let records = recent.of(Topic::Room(room), Position(0)).cloned().collect();
        (recent.floor(), records)
    }
}

/// The joined rooms in which something happened: by whichever is shorter, the changes or the rooms.
fn touched_rooms(
    recent: &Recent<Arc<Record>>,
    since: Position,
    memberships: &Memberships,
) -> HashSet<RoomNumber> {
    let is_joined = |room: &RoomNumber| memberships.get(room).is_some_and(Membership::is_joined);
    if recent.count_since(since) <= memberships.len() {
        let room = |topic| match topic {
            Topic::Room(room) => Some(room).filter(is_joined),
            Topic::User(_) => None,
        };
        return recent.topics_since(since).filter_map(room).collect();
    }
    let touched = |room: &&RoomNumber| {
        recent.newest(Topic::Room(**room)).is_some_and(|newest| newest > since)
    };
    memberships.keys().filter(|room| is_joined(room)).filter(touched).copied().collect()
}

impl Inner {
    /// Forgets everything, since changes were lost: they alone were more than the log holds.
    /// Whoever waits looks into the database.
    fn start_anew(&mut self, head: Position) -> Vec<Arc<Waiter>> {
        self.recent = Recent::new(head);
        self.numbers.clear();
        self.rooms.clear();
        self.users.drain().map(|(_, entry)| entry.waiter).collect()
    }

    /// Takes a group in and gives back whom to wake.
    fn take_in(
        &mut self,
        records: &[Arc<Record>],
        head: Position,
        floor: Position,
    ) -> Vec<Arc<Waiter>> {
        let mut woken = Woken::default();
        for record in records {
            let concern = concern(record);
            // Whoever just left hears of it through her own topic; whoever just came needs the room
            // from here on.
            if let Concern { member: Some((user, room, membership)), .. } = &concern {
                self.set_membership(*user, *room, *membership);
            }
            for topic in &concern.topics {
                woken.note(*topic, record.position);
            }
            self.recent.push(record.position, concern.topics, record);
        }
        self.recent.forget(floor);
        self.recent.advance(head);
        self.raise(woken)
    }

    /// Raises `changed` of everybody concerned.
    fn raise(&self, woken: Woken) -> Vec<Arc<Waiter>> {
        let mut waiters = Vec::new();
        for (topic, position) in woken.newest {
            match topic {
                Topic::User(user) => {
                    if let Some(entry) = self.users.get(&user) {
                        entry.waiter.changed.fetch_max(position.0, Ordering::Release);
                        waiters.push(Arc::clone(&entry.waiter));
                    }
                }
                Topic::Room(room) => {
                    for waiter in self.rooms.get(&room).into_iter().flat_map(HashMap::values) {
                        waiter.changed.fetch_max(position.0, Ordering::Release);
                        waiters.push(Arc::clone(waiter));
                    }
                }
            }
        }
        waiters
    }

    /// The waiters that an ephemeral change concerns.
    fn concerned(&self, change: &EphemeralChange) -> Vec<Arc<Waiter>> {
        match change {
            EphemeralChange::Typing { room } => {
                self.rooms.get(room).into_iter().flat_map(HashMap::values).cloned().collect()
            }
            EphemeralChange::Presence { user, rooms } => {
                let mut waiters = HashMap::new();
                for room in rooms.iter() {
                    let members = self.rooms.get(room).into_iter().flatten();
                    waiters.extend(members.map(|(user, waiter)| (*user, Arc::clone(waiter))));
                }
                if let Some((user, entry)) =
                    self.numbers.get(user).and_then(|number| self.users.get_key_value(number))
                {
                    waiters.insert(*user, Arc::clone(&entry.waiter));
                }
                waiters.into_values().collect()
            }
        }
    }

    fn set_membership(&mut self, user: UserNumber, room: RoomNumber, membership: Membership) {
        let Some(entry) = self.users.get_mut(&user) else { return };
        entry.memberships.insert(room, membership);
        if !entry.loaded {
            return;
        }
        if membership.is_joined() {
            self.rooms.entry(room).or_default().insert(user, Arc::clone(&entry.waiter));
        } else {
            self.leave_room(user, room);
        }
    }

    fn leave_room(&mut self, user: UserNumber, room: RoomNumber) {
        if let Some(users) = self.rooms.get_mut(&room) {
            users.remove(&user);
            if users.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }

    /// Drops the users who have not synced for longest once there are too many, a tenth of them at
    /// once.
    fn make_room(&mut self) {
        if self.users.len() < self.users_max {
            return;
        }
        let mut idle = self
            .users
            .iter()
            // One reference is the entry's, the others are its rooms'; a request that runs holds
            // one more.
            .filter(|(_, entry)| !entry.is_held())
            .map(|(user, entry)| (entry.used, *user))
            .collect::<Vec<_>>();
        idle.sort_unstable();
        for (_, user) in idle.into_iter().take(self.users_max / 10 + 1) {
            let Some(entry) = self.users.remove(&user) else { continue };
            self.numbers.remove(&entry.user_id);
            for room in entry.memberships.keys() {
                self.leave_room(user, *room);
            }
        }
    }
}

impl Entry {
    /// Whether a request uses the waiter at this moment.
    fn is_held(&self) -> bool {
        let joined = self.memberships.values().filter(|membership| membership.is_joined()).count();
        Arc::strong_count(&self.waiter) > joined + 1
    }
}

/// The newest position of each topic in a group.
#[derive(Default)]
struct Woken {
    newest: HashMap<Topic, Position>,
}

impl Woken {
    fn note(&mut self, topic: Topic, position: Position) {
        let newest = self.newest.entry(topic).or_default();
        *newest = position.max(*newest);
    }
}

#[cfg(test)]
#[path = "notifier_test.rs"]
mod tests;
