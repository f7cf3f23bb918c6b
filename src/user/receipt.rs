//! Receipts: public, private, threaded; the read marker.

use ruma::{EventId, OwnedEventId, RoomId, events::receipt::{ReceiptThread, ReceiptType}};

use crate::{Error, Requester};

/// Receipts and read markers.
#[derive(Clone)]
pub struct Receipts {}

/// What `/read_markers` sets at once.
#[derive(Clone, Debug, Default)]
pub struct ReadMarkers {
    /// `m.fully_read`.
    pub fully_read: Option<OwnedEventId>,
    /// `m.read`.
    pub read: Option<OwnedEventId>,
    /// `m.read.private`.
    pub private_read: Option<OwnedEventId>,
}

impl Receipts {
    /// Moves a receipt forward; one that would go back or stay is accepted and does nothing.
    pub async fn set(
        &self,
        requester: &Requester,
        room: &RoomId,
        kind: ReceiptType,
        thread: ReceiptThread,
        event: &EventId,
    ) -> Result<(), Error> {
        let _ = (requester, room, kind, thread, event);
        todo!()
    }

    /// Sets the marker `m.fully_read`, which is room account data.
    pub async fn set_fully_read(
        &self,
        requester: &Requester,
        room: &RoomId,
        event: &EventId,
    ) -> Result<(), Error> {
        let _ = (requester, room, event);
        todo!()
    }

    /// Sets what `/read_markers` names.
    pub async fn set_markers(
        &self,
        requester: &Requester,
        room: &RoomId,
        markers: ReadMarkers,
    ) -> Result<(), Error> {
        let _ = (requester, room, markers);
        todo!()
    }
}
