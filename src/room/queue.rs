//! The room queue: orders one room's work.
//!
//! Under the room's lock an event is completed, authorized and put on the speculative tip, and takes its place in the
//! store writer's order; the commit is awaited outside the lock, so that many events of one room share a commit. In the
//! transaction only the room's revision is checked. Who fails there drops the tip; the room is loaded again and the event tried
//! again, at most [`ATTEMPTS_MAX`] times.

use proto::{draft::Draft, number::Position};
use ruma::{OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId, OwnedUserId};

use crate::{RoomError, Rooms};

/// How often an event is tried when the room changes under it.
pub const ATTEMPTS_MAX: usize = 5;

/// A client's idempotency key: one device, one endpoint, one transaction id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnKey {
    /// The user.
    pub user: OwnedUserId,
    /// The device.
    pub device: OwnedDeviceId,
    /// The endpoint: the path up to the transaction id, decoded (`send/m.room.message`, `redact/$event`). The room is added.
    pub endpoint: String,
    /// The client's transaction id.
    pub txn_id: OwnedTransactionId,
}

/// A local event on its way into a room.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event: who sends what. The sender must be a user of this server.
    pub draft: Draft,
    /// When it was sent, if not now: an appservice may say so.
    pub timestamp_ms: Option<u64>,
    /// The client's idempotency key.
    pub txn: Option<TxnKey>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The event's id; with a transaction id that was used before, that of the event then.
    pub event_id: OwnedEventId,
    /// The newest position of its change, committed and published.
    pub position: Position,
}

impl Rooms {
    /// Puts a local event into its room, durably. The only way for local events, whatever they are.
    ///
    /// `m.room.member`, `m.room.canonical_alias` and `m.room.redaction` are checked as their own endpoints would.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, RoomError> {
        let _ = submission;
        todo!()
    }

    /// The event that was sent with this key before.
    pub async fn find_txn(
        &self,
        room_id: &ruma::RoomId,
        txn: &TxnKey,
    ) -> Result<Option<OwnedEventId>, RoomError> {
        let _ = (room_id, txn);
        todo!()
    }
}
