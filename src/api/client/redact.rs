//! Redactions.
//!
//! Spec: client-server API, "Redactions".

use ruma::{OwnedEventId, OwnedRoomId};

use crate::{
    extract::Call,
    reply::Outcome,
    send::{send_redaction, sent, txn_key},
};

/// `PUT /rooms/{roomId}/redact/{eventId}/{txnId}`.
pub(crate) async fn redact(call: Call) -> Outcome {
    let (room_id, event_id): (OwnedRoomId, OwnedEventId) =
        (call.id("roomId")?, call.id("eventId")?);
    let txn = txn_key(&call, format!("redact/{event_id}"))?;
    let event_id = send_redaction(&call, room_id, Some(event_id), txn).await?;
    sent(&call, &event_id).await
}
