//! Backward extremities: previous events that this server does not have.

use proto::number::{EventNumber, RoomNumber};
use ruma::{EventId, OwnedEventId};

use crate::{Error, Snapshot, WriteTxn, params};

const INSERT: &str = "INSERT INTO gap (room, missing, event) VALUES ($1, $2, $3)
    ON CONFLICT (room, missing, event) DO NOTHING";

const REMOVE: &str = "DELETE FROM gap WHERE room = $1 AND missing = $2";

const LIST: &str = "SELECT missing, event FROM gap WHERE room = $1
    ORDER BY event DESC LIMIT $2";

/// Notes that an event's previous event is missing.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    room: RoomNumber,
    missing: &EventId,
    event: EventNumber,
) -> Result<(), Error> {
    txn.execute(INSERT, params![room, missing, event])?;
    Ok(())
}

/// Notes that an event is here now.
pub fn remove(
    txn: &mut WriteTxn<'_>,
    room: RoomNumber,
    missing: &EventId,
) -> Result<(), Error> {
    txn.execute(REMOVE, params![room, missing])?;
    Ok(())
}

/// The newest gaps of a room: what is missing, and the event that named it.
pub fn list(
    snapshot: &mut Snapshot<'_>,
    room: RoomNumber,
    limit: usize,
) -> Result<Vec<(OwnedEventId, EventNumber)>, Error> {
    snapshot.query(LIST, params![room, limit], |row| Ok((row.id(0)?, row.number(1)?)))
}
