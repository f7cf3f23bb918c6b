//! Who is typing where. In memory only.

use std::sync::Arc;

use proto::number::RoomNumber;
use ruma::{OwnedUserId, RoomId};

use crate::{Error, Requester};

/// Who is typing where.
#[derive(Clone)]
pub struct Typing {}

/// The typing users of a room.
#[derive(Clone, Debug)]
pub struct TypingRoom {
    /// The room.
    pub room: RoomNumber,
    /// The ephemeral counter of its last change.
    pub changed: u64,
    /// Who is typing, empty when everybody stopped.
    pub users: Arc<[OwnedUserId]>,
}

impl Typing {
    /// Starts (for `timeout_ms`, at most two minutes) or stops.
    pub async fn set(
        &self,
        requester: &Requester,
        room: &RoomId,
        timeout_ms: Option<u64>,
    ) -> Result<(), Error> {
        let _ = (requester, room, timeout_ms);
        todo!()
    }

    /// The state of one room, if anybody typed there lately.
    pub fn in_room(&self, room: RoomNumber) -> Option<TypingRoom> {
        let _ = room;
        todo!()
    }

    /// The rooms that changed after this ephemeral counter.
    pub fn changed_since(&self, counter: u64) -> Vec<TypingRoom> {
        let _ = counter;
        todo!()
    }
}
