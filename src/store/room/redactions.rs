//! Redactions that came before their target.

use proto::number::EventNumber;
use ruma::EventId;

use crate::{Error, Snapshot, WriteTxn, params};

const INSERT: &str = "INSERT INTO waiting_redaction (target, redaction) VALUES ($1, $2)
    ON CONFLICT (target, redaction) DO NOTHING";

const LIST: &str = "SELECT redaction FROM waiting_redaction WHERE target = $1
    ORDER BY redaction";

const REMOVE: &str = "DELETE FROM waiting_redaction WHERE target = $1";

/// Has a redaction wait for its target.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    target: &EventId,
    redaction: EventNumber,
) -> Result<(), Error> {
    txn.execute(INSERT, params![target, redaction])?;
    Ok(())
}

/// The redactions that wait for an event.
pub fn list(snapshot: &mut Snapshot<'_>, target: &EventId) -> Result<Vec<EventNumber>, Error> {
    snapshot.query(LIST, params![target], |row| row.number(0))
}

/// Has nothing wait for an event any more.
pub fn remove(txn: &mut WriteTxn<'_>, target: &EventId) -> Result<(), Error> {
    txn.execute(REMOVE, params![target])?;
    Ok(())
}
