//! State changes: each positioned change of a room's current state, and the state that was current
//! at a position.

use proto::number::{EventNumber, Position, RoomNumber, StateGroup, StateKeyNumber};

use crate::{Batch, Conflict, Error, Kind, Snapshot, WriteTxn, params};

/// One change of a room's current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// Its position.
    pub position: Position,
    /// The room.
    pub room: RoomNumber,
    /// The type and state key.
    pub key: StateKeyNumber,
    /// What stood there.
    pub old: Option<EventNumber>,
    /// What stands there from here on.
    pub new: Option<EventNumber>,
    /// The whole current state from here on.
    pub group: StateGroup,
}

static CHANGES: Batch = Batch {
    table: "state_change",
    columns: &[
        ("room", Kind::Int),
        ("position", Kind::Int),
        ("key_", Kind::Int),
        ("old", Kind::Int),
        ("new", Kind::Int),
        ("state_group", Kind::Int),
    ],
    key_columns: 2,
    conflict: Conflict::Fail,
};

const BETWEEN: &str = "SELECT position, room, key_, old, new, state_group FROM state_change
    WHERE room = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4";

const GROUP_AT: &str = "SELECT state_group FROM state_change
    WHERE room = $1 AND position <= $2 ORDER BY position DESC LIMIT 1";

/// Adds a change.
pub fn insert(txn: &mut WriteTxn<'_>, change: &StateChange) -> Result<(), Error> {
    let StateChange { position, room, key, old, new, group } = change;
    txn.insert(&CHANGES, params![room, position, key, old, new, group])
}

/// The changes of a room after one position, up to and with another, oldest first, at most so many.
pub fn list_between(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    after: Position,
    upto: Position,
    limit: usize,
) -> Result<Vec<StateChange>, Error> {
    snapshot.query(BETWEEN, params![room, after, upto, limit], |row| {
        Ok(StateChange {
            position: row.position(0)?,
            room: row.number(1)?,
            key: row.number(2)?,
            old: row.number_optional(3)?,
            new: row.number_optional(4)?,
            group: row.number(5)?,
        })
    })
}

/// The state that was current at a position; `None` before the room's first state.
pub fn group_at(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    position: Position,
) -> Result<Option<StateGroup>, Error> {
    snapshot.query_optional(GROUP_AT, params![room, position], |row| row.number(0))
}
