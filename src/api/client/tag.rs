//! Tags of rooms.
//!
//! Spec: client-server API, "Room Tagging".

use ruma::OwnedRoomId;
use serde_json::json;

use crate::{
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /user/{userId}/rooms/{roomId}/tags`.
pub(crate) async fn list(call: Call) -> Outcome {
    call.own_user_id()?;
    let room: OwnedRoomId = call.id("roomId")?;
    let tags = call.state.account_data.list_tags(call.requester()?, &room).await?;
    reply::json(&json!({ "tags": tags }))
}

/// `PUT /user/{userId}/rooms/{roomId}/tags/{tag}`.
pub(crate) async fn set(call: Call) -> Outcome {
    call.own_user_id()?;
    let room: OwnedRoomId = call.id("roomId")?;
    let content = call.object()?;
    let (requester, tag) = (call.requester()?, call.text("tag")?);
    call.state.account_data.set_tag(requester, &room, tag, content).await?;
    reply::empty()
}

/// `DELETE /user/{userId}/rooms/{roomId}/tags/{tag}`.
pub(crate) async fn remove(call: Call) -> Outcome {
    call.own_user_id()?;
    let room: OwnedRoomId = call.id("roomId")?;
    let (requester, tag) = (call.requester()?, call.text("tag")?);
    call.state.account_data.remove_tag(requester, &room, tag).await?;
    reply::empty()
}
