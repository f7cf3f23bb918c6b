//! Backward extremities: previous events that this server does not have.

use proto::number::{EventNumber, RoomNumber};
use ruma::{EventId, OwnedEventId};

use crate::{Error, Snapshot, WriteTxn, params};

const INSERT: &str = "INSERT INTO gap (room, missing, event, wanted) VALUES ($1, $2, $3, $4)
    ON CONFLICT (room, missing, event) DO NOTHING";

const REMOVE: &str = "DELETE FROM gap WHERE room = $1 AND missing = $2";

// Outcome 0 is that of an accepted event.
const IS_NAMED: &str = "SELECT 1 FROM gap JOIN event ON event.number = gap.event
    WHERE gap.room = $1 AND gap.missing = $2 AND event.outcome = 0 LIMIT 1";

const LIST: &str = "SELECT missing, event FROM gap WHERE room = $1
    ORDER BY event DESC LIMIT $2";

const WANTED: &str = "SELECT DISTINCT event FROM gap WHERE room = $1 AND wanted = 1
    ORDER BY event DESC LIMIT $2";

/// Notes that an event's previous event is missing, and whether it shall be had as soon as somebody
/// can give it.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    room: RoomNumber,
    missing: &EventId,
    (event, wanted): (EventNumber, bool),
) -> Result<(), Error> {
    txn.execute(INSERT, params![room, missing, event, wanted])?;
    Ok(())
}

/// Notes that an event is here now.
pub fn remove(txn: &mut WriteTxn<'_>, room: RoomNumber, missing: &EventId) -> Result<(), Error> {
    txn.execute(REMOVE, params![room, missing])?;
    Ok(())
}

/// Whether an accepted event of the room names this one as a previous event that is missing.
pub fn is_named(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    missing: &EventId,
) -> Result<bool, Error> {
    let named = snapshot.query_optional(IS_NAMED, params![room, missing], |row| row.int(0))?;
    Ok(named.is_some())
}

/// The newest gaps of a room: what is missing, and the event that named it.
pub fn list(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    limit: usize,
) -> Result<Vec<(OwnedEventId, EventNumber)>, Error> {
    snapshot.query(LIST, params![room, limit], |row| Ok((row.id(0)?, row.number(1)?)))
}

/// The newest events of a room that name something missing that is wanted.
pub fn list_wanting(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    limit: usize,
) -> Result<Vec<EventNumber>, Error> {
    snapshot.query(WANTED, params![room, limit], |row| row.number(0))
}
