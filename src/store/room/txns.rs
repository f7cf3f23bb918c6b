//! Transaction ids of clients: which event a device has sent with which one.

use proto::number::EventNumber;
use ruma::{DeviceId, OwnedEventId};

use super::event::ClientTxn;
use crate::{Batch, Conflict, Error, Kind, Snapshot, WriteTxn, params};

/// The hash of user, device, endpoint and transaction id.
pub type TxnHash = [u8; 16];

static TXNS: Batch = Batch {
    table: "event_txn",
    columns: &[
        ("event", Kind::Int),
        ("hash", Kind::Bytes),
        ("device", Kind::Bytes),
        ("txn_id", Kind::Bytes),
    ],
    key_columns: 1,
    conflict: Conflict::Fail,
};

const FIND: &str = "SELECT event.id FROM event_txn JOIN event ON event.number = event_txn.event
    WHERE hash = $1";

const OF_EVENTS: &str = "SELECT event, txn_id FROM event_txn
    WHERE event IN_INTS($1) AND device = $2";

const PRUNE: &str = "DELETE FROM event_txn WHERE event < $1";

/// Notes what an event was sent with. The change fails with [`Error::Exists`], perhaps only after
/// the work has returned, if the transaction id was used before.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    event: EventNumber,
    hash: TxnHash,
    client: &ClientTxn,
) -> Result<(), Error> {
    txn.insert(&TXNS, params![event, hash, client.device, client.txn_id])
}

/// The event that was sent with this before.
pub fn find(snapshot: &mut Snapshot<'_>, hash: TxnHash) -> Result<Option<OwnedEventId>, Error> {
    snapshot.query_optional(FIND, params![hash], |row| row.id(0))
}

/// The transaction ids of those of these events that the device sent. They must be events of the
/// device's user.
pub fn list_of_events(
    snapshot: &mut Snapshot<'_>,
    events: &[EventNumber],
    device: &DeviceId,
) -> Result<Vec<(EventNumber, Box<str>)>, Error> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    snapshot
        .query(OF_EVENTS, params![events, device], |row| Ok((row.number(0)?, row.text(1)?.into())))
}

/// Forgets the transaction ids of all events before this one; says how many.
pub fn prune(txn: &mut WriteTxn<'_>, before: EventNumber) -> Result<u64, Error> {
    txn.execute(PRUNE, params![before])
}
