//! Asking the database for numbers and texts, and giving numbers to what is new.

use std::sync::Arc;

use proto::number::{RoomNumber, ServerNumber, StateKeyNumber, UserNumber};
use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, ServerName, UserId};

use crate::{
    batch::{Batch, Conflict, Kind},
    counter::Sequence,
    error::Error,
    numbers::{
        Family, Promise, StateKey, WELL_KNOWN, find_well_known, join_pair, parse, split_pair,
    },
    params,
    snapshot::Snapshot,
    write_txn::WriteTxn,
};

static USERS: Batch = names_batch("user_name");
static ROOMS: Batch = names_batch("room_name");
static SERVERS: Batch = names_batch("server_name");
static STATE_KEYS: Batch = Batch {
    table: "state_key",
    columns: &[("number", Kind::Int), ("type", Kind::Bytes), ("state_key", Kind::Bytes)],
    key_columns: 1,
    conflict: Conflict::Fail,
};

const STATE_KEY_NAMES: &str = "SELECT type, state_key FROM state_key LIMIT $1";

const fn names_batch(table: &'static str) -> Batch {
    Batch {
        table,
        columns: &[("number", Kind::Int), ("id", Kind::Bytes)],
        key_columns: 1,
        conflict: Conflict::Fail,
    }
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

    /// Learns which pairs of event type and state key there are, unless they are too many.
    pub(crate) fn learn_state_keys(&mut self) -> Result<(), Error> {
        let absent = &self.shared.numbers.absent;
        let names = self.query(STATE_KEY_NAMES, params![absent.wanted()], |row| {
            Ok(join_pair(row.text(0)?, row.text(1)?))
        })?;
        absent.fill(&names);
        Ok(())
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

    /// Gives a name the number that was promised to it. Fails if it has got another one meanwhile,
    /// and the change with it: it must be built anew.
    pub fn keep(&mut self, promise: &Promise) -> Result<(), Error> {
        let promise = &promise.0;
        let (family, text) = &promise.name;
        if promise.is_kept() {
            return Ok(());
        }
        let at_hand = self.shared.numbers.number(*family, text);
        match at_hand.or_else(|| self.fresh.find(*family, text)) {
            Some(number) if number == promise.number => Ok(()),
            Some(_) => Err(Error::Exists(format!("the number of {text:?}"))),
            // The database is not asked: it refuses a second number of the same name.
            None => self.give(*family, text, promise.number),
        }
    }

    fn intern(&mut self, family: Family, sequence: Sequence, text: &str) -> Result<i64, Error> {
        if let Some(number) = self.find_name(family, text)? {
            return Ok(number);
        }
        let promised = self.shared.numbers.promised(family, text);
        let number = promised.unwrap_or_else(|| self.next_number(sequence));
        self.give(family, text, number)?;
        Ok(number)
    }

    fn give(&mut self, family: Family, text: &str, number: i64) -> Result<(), Error> {
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
        Ok(())
    }
}
