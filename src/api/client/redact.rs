//! Redactions.
//!
//! Spec: client-server API, "Redactions".

use room::redact::RedactRequest;
use ruma::api::client::redact::redact_event;

use crate::{
    extract::Call,
    reply::Outcome,
    send::{sent, txn_key},
};

/// `PUT /rooms/{roomId}/redact/{eventId}/{txnId}`.
pub(crate) async fn redact(call: Call) -> Outcome {
    let request: redact_event::v3::Request = call.ruma()?;
    let txn = txn_key(&call, format!("redact/{}", request.event_id))?;
    let request = RedactRequest {
        sender: call.user_id()?.to_owned(),
        room_id: request.room_id,
        event_id: request.event_id,
        reason: request.reason,
        txn: Some(txn),
    };
    let submitted = call.state.rooms.redact(request).await?;
    sent(&call, &submitted.event_id).await
}
