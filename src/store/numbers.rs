//! Texts and their numbers: users, rooms, servers and pairs of event type and state key. Their text
//! stands once in the store; everything else refers to them by number.
//!
//! Invariant: a number enters a cache only after its commit; until then it is fresh, known to its
//! group alone, or promised. Numbers and texts are never changed nor removed, so that what is in a
//! cache is true for ever. What the database knows is asked in [`crate::names`].

use std::{collections::HashMap, sync::Arc};

use moka::sync::Cache;
use proto::number::{RoomNumber, StateKeyNumber, UserNumber};
use ruma::{OwnedUserId, RoomId, UserId};

use crate::{
    absent::Absent,
    error::Error,
    promises::{Promised, Promises},
};

/// Event types whose pair with the empty state key has a fixed number: its place in this list,
/// counted from 1. New ones are added at the end.
pub const WELL_KNOWN: [&str; 20] = [
    "m.room.create",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.history_visibility",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.guest_access",
    "m.room.encryption",
    "m.room.tombstone",
    "m.room.server_acl",
    "m.room.pinned_events",
    "m.room.retention",
    "m.room.aliases",
    "m.room.bot.options",
    "im.vector.modular.widgets",
    "org.matrix.room.preview_urls",
    "m.room.policy",
    "m.room.related_groups",
];

/// `m.room.create` with the empty state key.
pub const CREATE: StateKeyNumber = StateKeyNumber(1);
/// `m.room.join_rules` with the empty state key.
pub const JOIN_RULES: StateKeyNumber = StateKeyNumber(2);
/// `m.room.power_levels` with the empty state key.
pub const POWER_LEVELS: StateKeyNumber = StateKeyNumber(3);
/// `m.room.history_visibility` with the empty state key.
pub const HISTORY_VISIBILITY: StateKeyNumber = StateKeyNumber(4);
/// `m.room.name` with the empty state key.
pub const NAME: StateKeyNumber = StateKeyNumber(5);
/// `m.room.topic` with the empty state key.
pub const TOPIC: StateKeyNumber = StateKeyNumber(6);
/// `m.room.avatar` with the empty state key.
pub const AVATAR: StateKeyNumber = StateKeyNumber(7);
/// `m.room.canonical_alias` with the empty state key.
pub const CANONICAL_ALIAS: StateKeyNumber = StateKeyNumber(8);
/// `m.room.guest_access` with the empty state key.
pub const GUEST_ACCESS: StateKeyNumber = StateKeyNumber(9);
/// `m.room.encryption` with the empty state key.
pub const ENCRYPTION: StateKeyNumber = StateKeyNumber(10);
/// `m.room.tombstone` with the empty state key.
pub const TOMBSTONE: StateKeyNumber = StateKeyNumber(11);
/// `m.room.server_acl` with the empty state key.
pub const SERVER_ACL: StateKeyNumber = StateKeyNumber(12);

/// A pair of event type and state key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateKey {
    /// The event's type.
    pub event_type: Box<str>,
    /// Its state key.
    pub state_key: Box<str>,
}

/// Which texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    User,
    Room,
    Server,
    StateKey,
}

/// A text with its family. A state key pair is written as one text that no other pair has.
pub(crate) type Name = (Family, Arc<str>);

/// A number that a text will have once a change keeps the promise. It lives as long as it is held.
#[derive(Clone, Debug)]
pub struct Promise(pub(crate) Arc<Promised<Name>>);

impl Promise {
    /// The number.
    pub fn number(&self) -> i64 {
        self.0.number
    }

    /// Whether both are the same promise.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Numbers that the running group has given and that nobody else may know yet.
#[derive(Default)]
pub(crate) struct Fresh {
    numbers: HashMap<Name, i64>,
    order: Vec<Name>,
}

impl Fresh {
    pub(crate) fn mark(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn undo(&mut self, mark: usize) {
        for name in self.order.drain(mark..) {
            self.numbers.remove(&name);
        }
    }

    pub(crate) fn find(&self, family: Family, text: &str) -> Option<i64> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(&(family, Arc::from(text))).copied()
    }

    pub(crate) fn find_text(&self, family: Family, number: i64) -> Option<Arc<str>> {
        let name = |((found, text), given): (&Name, &i64)| {
            (*found == family && *given == number).then(|| Arc::clone(text))
        };
        self.numbers.iter().find_map(name)
    }

    pub(crate) fn add(&mut self, family: Family, text: &str, number: i64) {
        let name = (family, Arc::from(text));
        self.order.push(Name::clone(&name));
        self.numbers.insert(name, number);
    }
}

/// The caches of committed numbers, both ways.
pub struct Numbers {
    by_text: Cache<Name, i64>,
    by_number: Cache<(Family, i64), Arc<str>>,
    promises: Promises<Name>,
    /// Of the pairs of event type and state key only.
    pub(crate) absent: Absent,
}

impl Numbers {
    pub(crate) fn new(most: u64) -> Self {
        let (by_text, by_number) = (Cache::new(most), Cache::new(most));
        Self { by_text, by_number, promises: Promises::new(), absent: Absent::new() }
    }

    /// The user's number, if it is at hand.
    pub fn cached_user(&self, user: &UserId) -> Option<UserNumber> {
        self.number(Family::User, user.as_str()).map(UserNumber)
    }

    /// The room's number, if it is at hand.
    pub fn cached_room(&self, room: &RoomId) -> Option<RoomNumber> {
        self.number(Family::Room, room.as_str()).map(RoomNumber)
    }

    /// The number of a pair of event type and state key, if it is at hand.
    pub fn cached_state_key(&self, event_type: &str, state_key: &str) -> Option<StateKeyNumber> {
        find_well_known(event_type, state_key).or_else(|| {
            self.number(Family::StateKey, &join_pair(event_type, state_key)).map(StateKeyNumber)
        })
    }

    /// Whether the store surely has no number of a pair of event type and state key, which is the
    /// case of most pairs that are new; what is in flight does not count.
    pub fn is_new_state_key(&self, event_type: &str, state_key: &str) -> bool {
        find_well_known(event_type, state_key).is_none()
            && self.absent.has(&join_pair(event_type, state_key))
    }

    /// The number that is promised to a user.
    pub fn find_user_promise(&self, user: &UserId) -> Option<Promise> {
        self.find_promise(Family::User, user.as_str())
    }

    /// The number that is promised to a pair.
    pub fn find_state_key_promise(&self, event_type: &str, state_key: &str) -> Option<Promise> {
        self.find_promise(Family::StateKey, &join_pair(event_type, state_key))
    }

    /// Promises a number to a user of whom the store did not know a moment ago: a number that
    /// nobody else has and whose taking is durable. If the user has got one meanwhile, that is the
    /// error; if another one is promised, it comes back.
    pub fn promise_user(&self, user: &UserId, number: UserNumber) -> Result<Promise, UserNumber> {
        self.promise(Family::User, user.as_str(), number.0).map_err(UserNumber)
    }

    /// As [`Numbers::promise_user`], for a room.
    pub fn promise_room(&self, room: &RoomId, number: RoomNumber) -> Result<Promise, RoomNumber> {
        self.promise(Family::Room, room.as_str(), number.0).map_err(RoomNumber)
    }

    /// As [`Numbers::promise_user`], for a pair of event type and state key.
    pub fn promise_state_key(
        &self,
        (event_type, state_key): (&str, &str),
        number: StateKeyNumber,
    ) -> Result<Promise, StateKeyNumber> {
        let pair = join_pair(event_type, state_key);
        self.promise(Family::StateKey, &pair, number.0).map_err(StateKeyNumber)
    }

    /// The user with a number, if it is at hand.
    pub fn cached_user_id(&self, number: UserNumber) -> Option<OwnedUserId> {
        parse(&self.text(Family::User, number.0)?).ok()
    }

    pub(crate) fn admit(&self, fresh: &Fresh) {
        for ((family, text), number) in &fresh.numbers {
            self.insert(*family, text, *number);
            if *family == Family::StateKey {
                self.absent.add(text);
            }
            self.promises.settle(&(*family, Arc::clone(text)), *number);
        }
    }

    /// The number that is promised to a text.
    pub(crate) fn promised(&self, family: Family, text: &str) -> Option<i64> {
        self.promises.find(&(family, Arc::from(text)))
    }

    fn find_promise(&self, family: Family, text: &str) -> Option<Promise> {
        self.promises.get(&(family, Arc::from(text))).map(Promise)
    }

    /// Promises a number, unless the text has got one meanwhile.
    fn promise(&self, family: Family, text: &str, number: i64) -> Result<Promise, i64> {
        let promise = self.promises.make((family, Arc::from(text)), number);
        // What was committed before is seen here; what is committed from now on is the promised
        // number, or is refused.
        match self.number(family, text) {
            Some(known) if known != promise.number => Err(known),
            _ => Ok(Promise(promise)),
        }
    }

    pub(crate) fn number(&self, family: Family, text: &str) -> Option<i64> {
        self.by_text.get(&(family, Arc::from(text)))
    }

    pub(crate) fn text(&self, family: Family, number: i64) -> Option<Arc<str>> {
        self.by_number.get(&(family, number))
    }

    pub(crate) fn insert(&self, family: Family, text: &Arc<str>, number: i64) {
        self.by_text.insert((family, Arc::clone(text)), number);
        self.by_number.insert((family, number), Arc::clone(text));
    }
}

/// One text for a pair: the length of the type keeps pairs apart.
pub(crate) fn join_pair(event_type: &str, state_key: &str) -> String {
    format!("{}:{event_type}{state_key}", event_type.len())
}

pub(crate) fn split_pair(text: &str) -> Result<StateKey, Error> {
    let broken = || Error::Corrupt(format!("no pair of type and state key: {text:?}"));
    let (length, rest) = text.split_once(':').ok_or_else(broken)?;
    let length = length.parse::<usize>().map_err(|_| broken())?;
    let (event_type, state_key) = rest.split_at_checked(length).ok_or_else(broken)?;
    Ok(StateKey { event_type: event_type.into(), state_key: state_key.into() })
}

pub(crate) fn parse<I: for<'t> TryFrom<&'t str>>(text: &str) -> Result<I, Error> {
    I::try_from(text).map_err(|_| Error::Corrupt(format!("no identifier: {text:?}")))
}

/// The fixed number of a pair that has one.
pub fn find_well_known(event_type: &str, state_key: &str) -> Option<StateKeyNumber> {
    if !state_key.is_empty() {
        return None;
    }
    let place = WELL_KNOWN.iter().position(|known| *known == event_type)?;
    Some(StateKeyNumber(i64::try_from(place + 1).ok()?))
}
