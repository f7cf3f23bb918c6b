//! What can change, as the in-memory log tells it. A change carries what an up-to-date reader needs, shared, not copied.

use proto::number::{RoomNumber, UserNumber};

/// A change that somebody can observe.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A user's profile.
    Profile {
        /// Whose it is.
        user: UserNumber,
    },
    /// An account data entry, global or of a room.
    AccountData {
        /// Whose it is.
        user: UserNumber,
        /// The room, unless it is global.
        room: Option<RoomNumber>,
        /// The entry's type.
        kind: std::sync::Arc<str>,
    },
}

impl Change {
    /// How much memory the change keeps, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let shared = match self {
            Self::Profile { .. } => 0,
            Self::AccountData { kind, .. } => kind.len(),
        };
        size_of::<Self>() + shared
    }
}
