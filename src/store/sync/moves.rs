//! How a room's current state moved, as sync asks for it.

use proto::number::{EventNumber, Position, RoomNumber, StateKeyNumber};

use crate::{Error, Row, Snapshot, params};

/// One move of a room's current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub position: Position,
    /// What moved.
    pub key: StateKeyNumber,
    /// From where, if there was anything.
    pub old: Option<EventNumber>,
    /// To where, unless it was removed.
    pub new: Option<EventNumber>,
}

const SINCE: &str = "SELECT position, key_, old, new FROM state_change
    WHERE room = $1 AND position > $2 ORDER BY position";

const OF_KEY: &str = "SELECT position, key_, old, new FROM state_change
    WHERE room = $1 AND key_ = $2 AND position > $3 AND position <= $4 ORDER BY position";

/// The moves in a room after a position, oldest first.
pub fn since(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    since: Position,
) -> Result<Vec<Move>, Error> {
    snapshot.query(SINCE, params![room, since], read)
}

/// The moves of one key of a room after one position, up to and with another, oldest first.
pub fn of_key(
    snapshot: &mut Snapshot<'_>,
    (room, key): (RoomNumber, StateKeyNumber),
    since: Position,
    upto: Position,
) -> Result<Vec<Move>, Error> {
    snapshot.query(OF_KEY, params![room, key, since, upto], read)
}

fn read(row: Row<'_>) -> Result<Move, Error> {
    Ok(Move {
        position: row.position(0)?,
        key: row.number(1)?,
        old: row.number_optional(2)?,
        new: row.number_optional(3)?,
    })
}
