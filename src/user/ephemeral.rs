//! The order of what is not durable: typing and presence. One counter per run of the process (its epoch); a listener
//! hears of each change after it can be read.

use std::sync::Arc;

use proto::number::RoomNumber;
use ruma::{OwnedUserId, UserId};

/// The counter of ephemeral changes and their listeners.
#[derive(Clone)]
pub struct Ephemeral {}

/// A change that can be read by now.
#[derive(Clone, Debug)]
pub enum EphemeralChange {
    /// Somebody started or stopped typing in this room.
    Typing {
        /// The room.
        room: RoomNumber,
    },
    /// The presence of somebody changed.
    Presence {
        /// Who.
        user: OwnedUserId,
        /// The rooms that she is joined to: whoever is in one of them sees it, and she herself.
        rooms: Arc<[RoomNumber]>,
    },
}

/// What hears of changes; called in order, must not block.
pub type EphemeralListener = Arc<dyn Fn(u64, &EphemeralChange) + Send + Sync>;

impl Ephemeral {
    /// The number of this run of the process: positions of another run mean nothing here.
    pub fn epoch(&self) -> u64 {
        todo!()
    }

    /// The newest change that can be read.
    pub fn counter(&self) -> u64 {
        todo!()
    }

    /// Adds a listener for the process's life.
    pub fn add_listener(&self, listener: EphemeralListener) {
        let _ = listener;
        todo!()
    }
}

/// Whether a user is herself the one a presence change is about.
pub(crate) fn is_self(user: &UserId, other: &UserId) -> bool {
    user == other
}
