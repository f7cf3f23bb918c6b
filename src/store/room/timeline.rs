//! The timelines: which events a room shows, in either of two orders. By place (depth, then
//! position), as pagination goes; by position, as they came.

use proto::number::{EventNumber, Position, RoomNumber};

use super::event::Place;
use crate::{Error, Row, Snapshot, params};

/// A timeline row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineRow {
    /// The event.
    pub event: EventNumber,
    /// Its place.
    pub place: Place,
}

const BACKWARD: &str = "SELECT number, depth, position FROM event
    WHERE room = $1 AND (depth, position) <= ($2, $3) AND position IS NOT NULL
    AND position <= $4
    ORDER BY depth DESC, position DESC LIMIT $5";

const FORWARD: &str = "SELECT number, depth, position FROM event
    WHERE room = $1 AND (depth, position) > ($2, $3) AND position IS NOT NULL
    AND position <= $4
    ORDER BY depth, position LIMIT $5";

const NEWEST: &str = "SELECT number, depth, position FROM event
    WHERE room = $1 AND position > $2 AND position <= $3
    ORDER BY position DESC LIMIT $4";

const DEEPEST_AT: &str = "SELECT number, depth, position FROM event
    WHERE room = $1 AND position <= $2 AND position IS NOT NULL
    ORDER BY depth DESC, position DESC LIMIT 1";

/// The place behind everything.
pub const NEWEST_PLACE: Place = Place { depth: i64::MAX, position: i64::MAX };
/// The place before everything.
pub const OLDEST_PLACE: Place = Place { depth: i64::MIN, position: i64::MIN };

/// The rows from a place on back to older ones, that of the place itself first; only those up to a
/// position.
pub fn list_backward(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    from: Place,
    upto: Position,
    limit: usize,
) -> Result<Vec<TimelineRow>, Error> {
    snapshot.query(BACKWARD, params![room, from.depth, from.position, upto, limit], read)
}

/// The rows after a place, oldest first; only those up to a position.
pub fn list_forward(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    after: Place,
    upto: Position,
    limit: usize,
) -> Result<Vec<TimelineRow>, Error> {
    snapshot.query(FORWARD, params![room, after.depth, after.position, upto, limit], read)
}

/// The newest rows after one position, up to and with another, newest first.
pub fn list_newest(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    after: Position,
    upto: Position,
    limit: usize,
) -> Result<Vec<TimelineRow>, Error> {
    snapshot.query(NEWEST, params![room, after, upto, limit], read)
}

/// The deepest of the rows up to a position: what a sync token means as a pagination token.
pub fn deepest_at(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    position: Position,
) -> Result<Option<TimelineRow>, Error> {
    snapshot.query_optional(DEEPEST_AT, params![room, position], read)
}

fn read(row: Row<'_>) -> Result<TimelineRow, Error> {
    let place = Place { depth: row.int(1)?, position: row.int(2)? };
    Ok(TimelineRow { event: row.number(0)?, place })
}
