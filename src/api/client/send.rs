//! Sending events.
//!
//! Spec: client-server API, "Sending events to a room".

use room::{Draft, Submission, TxnKey, redact::RedactRequest};
use ruma::{EventId, OwnedEventId, OwnedRoomId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    error::{ApiError, MISSING_PARAM},
    extract::Call,
    guests::{check_member_event, expel},
    membership::member_content,
    presence::note_active,
    reply::{self, Outcome},
};

/// The answer to whoever sends.
#[derive(Serialize)]
struct Sent<'a> {
    event_id: &'a EventId,
}

/// Tells the client its event, and the others that the user is there.
pub(crate) async fn sent(call: &Call, event_id: &EventId) -> Outcome {
    note_active(call).await;
    reply::json(&Sent { event_id })
}

/// The client's idempotency key: of this device, for this endpoint.
pub(crate) fn txn_key(call: &Call, endpoint: String) -> Result<TxnKey, ApiError> {
    let requester = call.requester()?;
    Ok(TxnKey {
        user: requester.user_id().to_owned(),
        device: requester.device_id().to_owned(),
        endpoint,
        txn_id: call.text("txnId")?.into(),
    })
}

/// What a redaction says, besides what may be in any content.
#[derive(Deserialize)]
struct Redaction {
    /// The event, where the redaction is sent like any other event.
    redacts: Option<OwnedEventId>,
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

/// Redacts the event that the path or else the content names.
pub(crate) async fn send_redaction(
    call: &Call,
    room_id: OwnedRoomId,
    event_id: Option<OwnedEventId>,
    txn: TxnKey,
) -> Result<OwnedEventId, ApiError> {
    let Redaction { redacts, .. } = call.json()?;
    let event_id =
        event_id.or(redacts).ok_or_else(|| MISSING_PARAM.with("missing parameter redacts"))?;
    let requester = call.requester()?;
    let request = RedactRequest {
        sender: requester.user_id().to_owned(),
        is_admin: requester.is_admin(),
        room_id: room_id.clone(),
        event_id: event_id.clone(),
        content: call.object()?,
        txn: Some(txn),
    };
    let submitted = call.state.rooms.redact(request).await?;
    expel(call, &room_id, &event_id).await;
    Ok(submitted.event_id)
}

/// `PUT /rooms/{roomId}/send/{eventType}/{txnId}`.
pub(crate) async fn send(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let content = call.content()?;
    let event_type = call.text("eventType")?;
    let txn = txn_key(&call, format!("send/{event_type}"))?;
    if event_type == "m.room.redaction" {
        let event_id = send_redaction(&call, room_id, None, txn).await?;
        return sent(&call, &event_id).await;
    }
    let draft = draft(&call, event_type, None, content)?;
    let submission = Submission { room_id, draft, timestamp_ms: None, txn: Some(txn) };
    let submitted = call.state.rooms.submit(submission).await?;
    sent(&call, &submitted.event_id).await
}

/// `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`.
pub(crate) async fn state(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let mut content = call.content()?;
    let event_type = call.text("eventType")?;
    let state_key = call.find_text("stateKey").unwrap_or_default().to_owned();
    if event_type == "m.room.member" {
        check_member_event(&call, &room_id).await?;
        content = member_content(&call, &room_id, &state_key).await?;
    }
    let draft = draft(&call, event_type, Some(state_key), content)?;
    let submission = Submission { room_id: room_id.clone(), draft, timestamp_ms: None, txn: None };
    let submitted = call.state.rooms.submit(submission).await?;
    expel(&call, &room_id, &submitted.event_id).await;
    sent(&call, &submitted.event_id).await
}

fn draft(
    call: &Call,
    event_type: &str,
    state_key: Option<String>,
    content: Box<RawValue>,
) -> Result<Draft, ApiError> {
    let sender = call.user_id()?.to_owned();
    Ok(Draft { sender, event_type: event_type.to_owned(), state_key, content, redacts: None })
}
