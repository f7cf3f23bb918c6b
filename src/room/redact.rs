//! Redactions: asked for by clients, applied to stored events, waiting for targets that are not here yet.

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};

use crate::{RoomError, Rooms, Submitted, TxnKey};

/// A client's request to redact an event.
#[derive(Clone, Debug)]
pub struct RedactRequest {
    /// Who asks.
    pub sender: OwnedUserId,
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event to redact.
    pub event_id: OwnedEventId,
    /// Why.
    pub reason: Option<String>,
    /// The client's idempotency key.
    pub txn: Option<TxnKey>,
}

impl Rooms {
    /// Redacts an event: one's own, or any with the power to do so.
    pub async fn redact(&self, request: RedactRequest) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }
}
