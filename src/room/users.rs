//! A user's rooms: from a cache that is fed at each commit.

use std::sync::Arc;

use proto::number::{EventNumber, Position, RoomNumber, UserNumber};
use ruma::{OwnedRoomId, UserId};

use crate::{Membership, RoomError, Rooms};

/// How a user stands to one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRoom {
    /// The room's number.
    pub room: RoomNumber,
    /// The room's id.
    pub room_id: OwnedRoomId,
    /// The membership.
    pub membership: Membership,
    /// The member event that says so.
    pub event: EventNumber,
    /// The position of the state change that made it current.
    pub position: Position,
    /// Whether the user has forgotten the room.
    pub forgotten: bool,
}

/// A user's rooms, by number, those left and forgotten included.
pub type UserRooms = imbl::OrdMap<RoomNumber, Arc<UserRoom>>;

impl Rooms {
    /// A user's rooms as of the newest commit. Cheap for whoever asks again.
    pub async fn memberships(&self, user: UserNumber) -> Result<UserRooms, RoomError> {
        let _ = user;
        todo!()
    }

    /// The rooms that a user is joined to.
    pub async fn joined_rooms(&self, user: &UserId) -> Result<Vec<OwnedRoomId>, RoomError> {
        let _ = user;
        todo!()
    }
}
