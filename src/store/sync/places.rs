//! Places in a room's timeline, as sync asks for them.

use proto::number::{Position, RoomNumber};

use crate::{Error, Snapshot, params, room::event::Place};

const DEEPEST_BEFORE: &str = "SELECT depth, position FROM event
    WHERE room = $1 AND position IS NOT NULL AND (depth, position) > ($2, $3) AND position < $3
    ORDER BY depth DESC, position DESC LIMIT 1";

/// The greatest place of what came before an event, if it is greater than the event's own: only
/// where the room's history forks.
pub fn deepest_before(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    event: Place,
) -> Result<Option<Place>, Error> {
    snapshot.query_optional(DEEPEST_BEFORE, params![room, event.depth, event.position], |row| {
        Ok(Place { depth: row.int(0)?, position: row.int(1)? })
    })
}

const MOVED_ROOMS: &str = "SELECT number FROM room WHERE number IN_INTS($1) AND position > $2";

/// Those of the rooms in which anything came or moved after a position.
pub fn moved_rooms(
    snapshot: &mut Snapshot<'_>,
    rooms: &[RoomNumber],
    since: Position,
) -> Result<Vec<RoomNumber>, Error> {
    snapshot.query(MOVED_ROOMS, params![rooms, since], |row| row.number(0))
}
