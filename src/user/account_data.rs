//! Account data, global and per room, and its removal (MSC3391).

use std::sync::Arc;

use ruma::RoomId;
use serde_json::value::RawValue;

use crate::{Error, Requester};

/// Account data of local users.
#[derive(Clone)]
pub struct AccountData {}

impl AccountData {
    /// The content of one type, global without a room.
    pub async fn find(
        &self,
        requester: &Requester,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<Option<Arc<RawValue>>, Error> {
        let _ = (requester, room, event_type);
        todo!()
    }

    /// Sets the content; types with an endpoint of their own (`m.fully_read`, `m.push_rules`) are refused.
    pub async fn set(
        &self,
        requester: &Requester,
        room: Option<&RoomId>,
        event_type: &str,
        content: Box<RawValue>,
    ) -> Result<(), Error> {
        let _ = (requester, room, event_type, content);
        todo!()
    }

    /// Removes a type (MSC3391): other devices see it with the empty content.
    pub async fn remove(
        &self,
        requester: &Requester,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<(), Error> {
        let _ = (requester, room, event_type);
        todo!()
    }
}
