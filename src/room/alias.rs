//! Room aliases of this server.
//!
//! Spec: client-server API, "Room Aliases".

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomAliasId, RoomId, UserId};

use crate::{RoomError, Rooms};

impl Rooms {
    /// The room that an alias points at, and servers that know it.
    pub async fn resolve_alias(
        &self,
        alias: &RoomAliasId,
    ) -> Result<Option<(OwnedRoomId, Vec<OwnedServerName>)>, RoomError> {
        let _ = alias;
        todo!()
    }

    /// Points a new alias at a room.
    pub async fn create_alias(
        &self,
        user: &UserId,
        alias: &RoomAliasId,
        room_id: &RoomId,
    ) -> Result<(), RoomError> {
        let _ = (user, alias, room_id);
        todo!()
    }

    /// Removes an alias: its creator may, and whoever may set the room's canonical alias, and administrators of the server.
    pub async fn delete_alias(
        &self,
        user: &UserId,
        alias: &RoomAliasId,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        let _ = (user, alias, is_admin);
        todo!()
    }

    /// The local aliases of a room, for its members and, where it is world readable, for everybody.
    pub async fn aliases(
        &self,
        user: &UserId,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedRoomAliasId>, RoomError> {
        let _ = (user, room_id);
        todo!()
    }
}
