//! Tags of rooms: the account data `m.tag` by its own endpoints.

use ruma::{RoomId, UserId};
use serde_json::{Map, Value};

use crate::{AccountData, Error, Requester};

impl AccountData {
    /// The tags of a room: name to its content.
    pub async fn list_tags(
        &self,
        requester: &Requester,
        room: &RoomId,
    ) -> Result<Map<String, Value>, Error> {
        let _ = (requester, room);
        todo!()
    }

    /// Adds or replaces a tag.
    pub async fn set_tag(
        &self,
        requester: &Requester,
        room: &RoomId,
        tag: &str,
        content: Map<String, Value>,
    ) -> Result<(), Error> {
        let _ = (requester, room, tag, content);
        todo!()
    }

    /// Removes a tag; one that is not there is no error.
    pub async fn remove_tag(
        &self,
        requester: &Requester,
        room: &RoomId,
        tag: &str,
    ) -> Result<(), Error> {
        let _ = (requester, room, tag);
        todo!()
    }

    /// Copies tags and direct-chat marks of the user from a room to the one that replaces it.
    pub async fn carry_over(&self, user_id: &UserId, old: &RoomId, new: &RoomId) -> Result<(), Error> {
        let _ = (user_id, old, new);
        todo!()
    }
}
