//! Receipts and read markers.
//!
//! Spec: client-server API, "Receipts", "Fully read markers".

use ruma::{
    api::client::{
        read_marker::set_read_marker,
        receipt::create_receipt::{self, v3::ReceiptType as Asked},
    },
    events::receipt::{ReceiptThread, ReceiptType},
};
use user::receipt::{NewReceipt, ReadMarkers};

use crate::{
    error::INVALID_PARAM,
    extract::Call,
    presence::note_active,
    reply::{self, Outcome},
};

/// `POST /rooms/{roomId}/receipt/{receiptType}/{eventId}`.
pub(crate) async fn set(call: Call) -> Outcome {
    if call.object()?.get("thread_id").is_some_and(|thread| !thread.is_string()) {
        return Err(INVALID_PARAM.with("thread_id is not a text"));
    }
    let create_receipt::v3::Request { room_id, receipt_type, event_id, thread, .. } =
        call.ruma()?;
    let known = [ReceiptThread::Unthreaded, ReceiptThread::Main];
    if !known.contains(&thread) && !matches!(thread, ReceiptThread::Thread(_)) {
        return Err(INVALID_PARAM.with("thread_id is main or the id of an event"));
    }
    let (requester, receipts) = (call.requester()?, &call.state.receipts);
    let kind = match receipt_type {
        Asked::Read => ReceiptType::Read,
        Asked::ReadPrivate => ReceiptType::ReadPrivate,
        Asked::FullyRead if thread != ReceiptThread::Unthreaded => {
            return Err(INVALID_PARAM.with("m.fully_read has no threads"));
        }
        Asked::FullyRead => {
            receipts.set_fully_read(requester, &room_id, &event_id).await?;
            note_active(&call).await;
            return reply::empty();
        }
        kind => return Err(INVALID_PARAM.with(format!("unknown type of receipt: {kind}"))),
    };
    receipts.set(requester, &room_id, NewReceipt { kind, thread, event_id }).await?;
    note_active(&call).await;
    reply::empty()
}

/// `POST /rooms/{roomId}/read_markers`.
pub(crate) async fn set_markers(call: Call) -> Outcome {
    let request: set_read_marker::v3::Request = call.ruma()?;
    let markers = ReadMarkers {
        fully_read: request.fully_read,
        read: request.read_receipt,
        private_read: request.private_read_receipt,
    };
    call.state.receipts.set_markers(call.requester()?, &request.room_id, markers).await?;
    note_active(&call).await;
    reply::empty()
}
