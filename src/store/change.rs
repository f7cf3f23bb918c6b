//! What can change, as the in-memory log tells it. A change carries what an up-to-date reader
//! needs, shared, not copied.

use std::sync::Arc;

use proto::number::{EventNumber, RoomNumber, StateKeyNumber, UserNumber};

use crate::{
    room::event::{ClientTxn, Event},
    user::change::{AccountDataChange, ReceiptChange},
};

/// A change that somebody can observe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A timeline row: an event was appended to its room.
    Timeline {
        /// The room.
        room: RoomNumber,
        /// The event, with its place.
        event: Arc<Event>,
        /// With what transaction id a client of ours sent it.
        txn: Option<Arc<ClientTxn>>,
    },
    /// A room's current state changed under one key.
    State {
        /// The room.
        room: RoomNumber,
        /// The number of the type and state key.
        key: StateKeyNumber,
        /// What stood there.
        old: Option<EventNumber>,
        /// What stands there now.
        new: Option<EventNumber>,
        /// The event that stands there now.
        event: Option<Arc<Event>>,
    },
    /// A user's profile.
    Profile {
        /// Whose it is.
        user: UserNumber,
    },
    /// An account data entry, global or of a room.
    AccountData(AccountDataChange),
    /// A receipt moved forward.
    Receipt(ReceiptChange),
}

impl Change {
    /// How much memory the change keeps, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let shared = match self {
            Self::Timeline { event, .. } => event.weight(),
            // Its event is almost always that of the timeline row before it.
            Self::State { .. } | Self::Profile { .. } => 0,
            Self::AccountData(change) => change.bytes(),
            Self::Receipt(receipt) => receipt.bytes(),
        };
        size_of::<Self>() + shared
    }
}
