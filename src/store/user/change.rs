//! What the in-memory log tells of users' changes.

use std::sync::Arc;

use proto::number::{RoomNumber, UserNumber};
use ruma::{OwnedEventId, OwnedUserId};
use serde_json::value::RawValue;

/// Account data of one user changed.
#[derive(Clone, Debug)]
pub struct AccountDataChange {
    /// Whose it is.
    pub user: UserNumber,
    /// The room, none where it is global.
    pub room: Option<RoomNumber>,
    /// The event type.
    pub data_type: Arc<str>,
    /// The content; none after a removal, which clients see as `{}`.
    pub content: Option<Arc<RawValue>>,
}

/// A receipt moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptChange {
    /// The room.
    pub room: RoomNumber,
    /// Whose it is.
    pub user: UserNumber,
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// Public or private.
    pub kind: ReceiptKind,
    /// None when unthreaded, else `main` or the root's event ID.
    pub thread: Option<Arc<str>>,
    /// Up to where she read.
    pub event_id: OwnedEventId,
    /// When, in milliseconds since the epoch.
    pub ts: u64,
}

/// Who sees a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReceiptKind {
    /// `m.read`: everybody in the room.
    Public,
    /// `m.read.private`: only the user's own devices.
    Private,
}

impl ReceiptKind {
    /// The number that stands in the table.
    pub fn number(self) -> i64 {
        match self {
            Self::Public => 1,
            Self::Private => 2,
        }
    }

    /// The receipt type of the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "m.read",
            Self::Private => "m.read.private",
        }
    }
}

impl AccountDataChange {
    /// How much memory the change keeps besides itself, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.data_type.len() + self.content.as_ref().map_or(0, |content| content.get().len())
    }
}

impl ReceiptChange {
    /// How much memory the change keeps besides itself, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let thread = self.thread.as_ref().map_or(0, |thread| thread.len());
        self.user_id.as_str().len() + self.event_id.as_str().len() + thread
    }
}
