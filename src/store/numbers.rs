//! Texts and their numbers: users, rooms, servers and pairs of event type and state key. Their text
//! stands once in the store; everything else refers to them by number.
//!
//! Invariant: a number enters a cache only after its commit. Numbers and texts are never changed
//! nor removed, so that what is in a cache is true for ever.

use std::{collections::HashMap, sync::Arc};

use moka::sync::Cache;
use proto::number::{RoomNumber, ServerNumber, StateKeyNumber, UserNumber};
use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, ServerName, UserId};

use crate::{
    batch::{Batch, Conflict, Kind},
    counter::Sequence,
    engine::Link,
    error::Error,
    params, schema,
    snapshot::Snapshot,
    write_txn::WriteTxn,
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

const INSERT_WELL_KNOWN: &str = "INSERT INTO state_key (number, type, state_key)
    VALUES ($1, $2, BYTES('')) ON CONFLICT (number) DO NOTHING";

static USERS: Batch = names_batch("user_name");
static ROOMS: Batch = names_batch("room_name");
static SERVERS: Batch = names_batch("server_name");
static STATE_KEYS: Batch = Batch {
    table: "state_key",
    columns: &[("number", Kind::Int), ("type", Kind::Bytes), ("state_key", Kind::Bytes)],
    key_columns: 1,
    conflict: Conflict::Fail,
};

const fn names_batch(table: &'static str) -> Batch {
    Batch {
        table,
        columns: &[("number", Kind::Int), ("id", Kind::Bytes)],
        key_columns: 1,
        conflict: Conflict::Fail,
    }
}

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
enum Family {
    User,
    Room,
    Server,
    StateKey,
}

/// A text with its family. A state key pair is written as one text that no other pair has.
type Name = (Family, Arc<str>);

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

    fn find(&self, family: Family, text: &str) -> Option<i64> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(&(family, Arc::from(text))).copied()
    }

    fn find_text(&self, family: Family, number: i64) -> Option<Arc<str>> {
        let name = |((found, text), given): (&Name, &i64)| {
            (*found == family && *given == number).then(|| Arc::clone(text))
        };
        self.numbers.iter().find_map(name)
    }

    fn add(&mut self, family: Family, text: &str, number: i64) {
        let name = (family, Arc::from(text));
        self.order.push(Name::clone(&name));
        self.numbers.insert(name, number);
    }
}

/// The caches of committed numbers, both ways.
pub struct Numbers {
    by_text: Cache<Name, i64>,
    by_number: Cache<(Family, i64), Arc<str>>,
}

impl Numbers {
    pub(crate) fn new(most: u64) -> Self {
        Self { by_text: Cache::new(most), by_number: Cache::new(most) }
    }

    /// The user's number, if it is at hand.
    pub fn cached_user(&self, user: &UserId) -> Option<UserNumber> {
        self.number(Family::User, user.as_str()).map(UserNumber)
    }

    /// The room's number, if it is at hand.
    pub fn cached_room(&self, room: &RoomId) -> Option<RoomNumber> {
        self.number(Family::Room, room.as_str()).map(RoomNumber)
    }

    /// The user with a number, if it is at hand.
    pub fn cached_user_id(&self, number: UserNumber) -> Option<OwnedUserId> {
        parse(&self.text(Family::User, number.0)?).ok()
    }

    pub(crate) fn admit(&self, fresh: &Fresh) {
        for ((family, text), number) in &fresh.numbers {
            self.insert(*family, text, *number);
        }
    }

    fn number(&self, family: Family, text: &str) -> Option<i64> {
        self.by_text.get(&(family, Arc::from(text)))
    }

    fn text(&self, family: Family, number: i64) -> Option<Arc<str>> {
        self.by_number.get(&(family, number))
    }

    fn insert(&self, family: Family, text: &Arc<str>, number: i64) {
        self.by_text.insert((family, Arc::clone(text)), number);
        self.by_number.insert((family, number), Arc::clone(text));
    }
}

/// One text for a pair: the length of the type keeps pairs apart.
fn join_pair(event_type: &str, state_key: &str) -> String {
    format!("{}:{event_type}{state_key}", event_type.len())
}

fn split_pair(text: &str) -> Result<StateKey, Error> {
    let broken = || Error::Corrupt(format!("no pair of type and state key: {text:?}"));
    let (length, rest) = text.split_once(':').ok_or_else(broken)?;
    let length = length.parse::<usize>().map_err(|_| broken())?;
    let (event_type, state_key) = rest.split_at_checked(length).ok_or_else(broken)?;
    Ok(StateKey { event_type: event_type.into(), state_key: state_key.into() })
}

fn parse<I: for<'t> TryFrom<&'t str>>(text: &str) -> Result<I, Error> {
    I::try_from(text).map_err(|_| Error::Corrupt(format!("no identifier: {text:?}")))
}

/// Puts the well-known pairs where they belong; new ones may come with a new program.
pub(crate) fn insert_well_known(link: &mut dyn Link) -> Result<(), Error> {
    for (number, event_type) in (1..).zip(WELL_KNOWN) {
        schema::insert_once(link, INSERT_WELL_KNOWN, number, event_type)?;
    }
    Ok(())
}

impl Family {
    const fn find_sql(self) -> &'static str {
        match self {
            Self::User => "SELECT number FROM user_name WHERE id = $1",
            Self::Room => "SELECT number FROM room_name WHERE id = $1",
            Self::Server => "SELECT number FROM server_name WHERE id = $1",
            Self::StateKey => "SELECT number FROM state_key WHERE type = $1 AND state_key = $2",
        }
    }

    const fn load_sql(self) -> &'static str {
        match self {
            Self::User => "SELECT id FROM user_name WHERE number = $1",
            Self::Room => "SELECT id FROM room_name WHERE number = $1",
            Self::Server => "SELECT id FROM server_name WHERE number = $1",
            Self::StateKey => "SELECT type, state_key FROM state_key WHERE number = $1",
        }
    }
}

impl Snapshot<'_> {
    /// The user's number, if the store knows the user.
    pub fn find_user(&mut self, user: &UserId) -> Result<Option<UserNumber>, Error> {
        Ok(self.find_name(Family::User, user.as_str())?.map(UserNumber))
    }

    /// The room's number, if the store knows the room.
    pub fn find_room(&mut self, room: &RoomId) -> Result<Option<RoomNumber>, Error> {
        Ok(self.find_name(Family::Room, room.as_str())?.map(RoomNumber))
    }

    /// The server's number, if the store knows the server.
    pub fn find_server(&mut self, server: &ServerName) -> Result<Option<ServerNumber>, Error> {
        Ok(self.find_name(Family::Server, server.as_str())?.map(ServerNumber))
    }

    /// The number of a pair of event type and state key, if the store knows it.
    pub fn find_state_key(
        &mut self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<StateKeyNumber>, Error> {
        if let Some(number) = find_well_known(event_type, state_key) {
            return Ok(Some(number));
        }
        let pair = join_pair(event_type, state_key);
        Ok(self.find_name(Family::StateKey, &pair)?.map(StateKeyNumber))
    }

    /// The user with a number, which must be there.
    pub fn load_user(&mut self, number: UserNumber) -> Result<OwnedUserId, Error> {
        parse(&self.load_name(Family::User, number.0)?)
    }

    /// The room with a number, which must be there.
    pub fn load_room(&mut self, number: RoomNumber) -> Result<OwnedRoomId, Error> {
        parse(&self.load_name(Family::Room, number.0)?)
    }

    /// The server with a number, which must be there.
    pub fn load_server(&mut self, number: ServerNumber) -> Result<OwnedServerName, Error> {
        parse(&self.load_name(Family::Server, number.0)?)
    }

    /// The pair of event type and state key with a number, which must be there.
    pub fn load_state_key(&mut self, number: StateKeyNumber) -> Result<StateKey, Error> {
        let place = usize::try_from(number.0 - 1).unwrap_or(usize::MAX);
        if let Some(event_type) = WELL_KNOWN.get(place) {
            return Ok(StateKey { event_type: (*event_type).into(), state_key: "".into() });
        }
        split_pair(&self.load_name(Family::StateKey, number.0)?)
    }

    fn find_name(&mut self, family: Family, text: &str) -> Result<Option<i64>, Error> {
        let at_hand =
            self.shared.numbers.number(family, text).or_else(|| self.fresh.find(family, text));
        if at_hand.is_some() {
            return Ok(at_hand);
        }
        let sql = family.find_sql();
        let number = if family == Family::StateKey {
            let pair = split_pair(text)?;
            self.query_optional(sql, params![pair.event_type, pair.state_key], |row| row.int(0))
        } else {
            self.query_optional(sql, params![text], |row| row.int(0))
        }?;
        // Whatever the running group has given is in `fresh`, so this one is committed.
        if let Some(number) = number {
            self.shared.numbers.insert(family, &Arc::from(text), number);
        }
        Ok(number)
    }

    fn load_name(&mut self, family: Family, number: i64) -> Result<Arc<str>, Error> {
        let at_hand = self.shared.numbers.text(family, number);
        if let Some(text) = at_hand.or_else(|| self.fresh.find_text(family, number)) {
            return Ok(text);
        }
        let text = self.query_one(family.load_sql(), params![number], |row| {
            if family == Family::StateKey {
                Ok(Arc::from(join_pair(row.text(0)?, row.text(1)?)))
            } else {
                Ok(Arc::from(row.text(0)?))
            }
        })?;
        self.shared.numbers.insert(family, &text, number);
        Ok(text)
    }
}

/// The fixed number of a pair that has one.
pub fn find_well_known(event_type: &str, state_key: &str) -> Option<StateKeyNumber> {
    if !state_key.is_empty() {
        return None;
    }
    let place = WELL_KNOWN.iter().position(|known| *known == event_type)?;
    Some(StateKeyNumber(i64::try_from(place + 1).ok()?))
}

impl WriteTxn<'_> {
    /// The user's number, given now if the user is new.
    pub fn intern_user(&mut self, user: &UserId) -> Result<UserNumber, Error> {
        self.intern(Family::User, Sequence::User, user.as_str()).map(UserNumber)
    }

    /// The room's number, given now if the room is new.
    pub fn intern_room(&mut self, room: &RoomId) -> Result<RoomNumber, Error> {
        self.intern(Family::Room, Sequence::Room, room.as_str()).map(RoomNumber)
    }

    /// The server's number, given now if the server is new.
    pub fn intern_server(&mut self, server: &ServerName) -> Result<ServerNumber, Error> {
        self.intern(Family::Server, Sequence::Server, server.as_str()).map(ServerNumber)
    }

    /// The number of a pair of event type and state key, given now if it is new.
    pub fn intern_state_key(
        &mut self,
        event_type: &str,
        state_key: &str,
    ) -> Result<StateKeyNumber, Error> {
        if let Some(number) = find_well_known(event_type, state_key) {
            return Ok(number);
        }
        let pair = join_pair(event_type, state_key);
        self.intern(Family::StateKey, Sequence::StateKey, &pair).map(StateKeyNumber)
    }

    fn intern(&mut self, family: Family, sequence: Sequence, text: &str) -> Result<i64, Error> {
        if let Some(number) = self.find_name(family, text)? {
            return Ok(number);
        }
        let number = self.next_number(sequence);
        match family {
            Family::User => self.insert(&USERS, params![number, text]),
            Family::Room => self.insert(&ROOMS, params![number, text]),
            Family::Server => self.insert(&SERVERS, params![number, text]),
            Family::StateKey => {
                let pair = split_pair(text)?;
                self.insert(&STATE_KEYS, params![number, pair.event_type, pair.state_key])
            }
        }?;
        self.fresh.add(family, text, number);
        Ok(number)
    }
}
