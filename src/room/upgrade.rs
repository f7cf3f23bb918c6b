//! Room upgrades.
//!
//! Spec: client-server API, "Room Upgrades".

use ruma::{OwnedRoomId, OwnedUserId, RoomVersionId};

use crate::{MemberProfile, RoomError, Rooms};

/// A request to replace a room by one of another version.
#[derive(Clone, Debug)]
pub struct UpgradeRoom {
    /// Who asks.
    pub sender: OwnedUserId,
    /// The sender's profile.
    pub profile: MemberProfile,
    /// The room to replace.
    pub room_id: OwnedRoomId,
    /// The version of the new one.
    pub version: RoomVersionId,
    /// Further creators, for versions that can have several.
    pub additional_creators: Vec<OwnedUserId>,
}

impl Rooms {
    /// Replaces a room; the answer is the new one.
    pub async fn upgrade(&self, request: UpgradeRoom) -> Result<OwnedRoomId, RoomError> {
        let _ = request;
        todo!()
    }
}
