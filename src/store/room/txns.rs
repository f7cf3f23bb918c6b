//! Transaction ids of clients: which event a device has sent with which one.

use proto::number::EventNumber;
use ruma::{DeviceId, OwnedEventId};

use super::event::ClientTxn;
use crate::{Error, Snapshot, WriteTxn, params};

/// The hash of user, device, endpoint and transaction id.
pub type TxnHash = [u8; 16];

const INSERT: &str = "INSERT INTO event_txn (event, hash, device, txn_id)
    VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO NOTHING";

const FIND: &str = "SELECT event.id FROM event_txn JOIN event ON event.number = event_txn.event
    WHERE hash = $1";

const OF_EVENTS: &str = "SELECT event, txn_id FROM event_txn
    WHERE event IN_INTS($1) AND device = $2";

const PRUNE: &str = "DELETE FROM event_txn WHERE event < $1";

/// Notes what an event was sent with; says whether the transaction id is new.
pub fn insert(
    txn: &mut WriteTxn<'_>,
    event: EventNumber,
    hash: TxnHash,
    client: &ClientTxn,
) -> Result<bool, Error> {
    Ok(txn.execute(INSERT, params![event, hash, client.device, client.txn_id])? == 1)
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
