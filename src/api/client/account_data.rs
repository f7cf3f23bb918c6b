//! Account data, global and of rooms.
//!
//! Spec: client-server API, "Client Config"; MSC3391 for its removal.

use ruma::OwnedRoomId;

use crate::{
    error::{ApiError, NOT_FOUND},
    extract::Call,
    reply::{self, Outcome},
};

/// The room in the path; none for what is global.
fn room(call: &Call) -> Result<Option<OwnedRoomId>, ApiError> {
    call.find_text("roomId").map(|_| call.id("roomId")).transpose()
}

/// `GET /user/{userId}/account_data/{type}` and the same of a room.
pub(crate) async fn find(call: Call) -> Outcome {
    call.own_user_id()?;
    let room = room(&call)?;
    let found = call
        .state
        .account_data
        .find(call.requester()?, room.as_deref(), call.text("type")?)
        .await?;
    let content = found.ok_or_else(|| NOT_FOUND.with("There is no account data of this type"))?;
    reply::raw(content.get().to_owned())
}

/// `PUT /user/{userId}/account_data/{type}` and the same of a room.
pub(crate) async fn set(call: Call) -> Outcome {
    call.own_user_id()?;
    let room = room(&call)?;
    let content = call.content()?;
    let (requester, kind) = (call.requester()?, call.text("type")?);
    call.state.account_data.set(requester, room.as_deref(), kind, content).await?;
    reply::empty()
}

/// `DELETE /user/{userId}/account_data/{type}` and the same of a room.
pub(crate) async fn remove(call: Call) -> Outcome {
    call.own_user_id()?;
    let room = room(&call)?;
    let (requester, kind) = (call.requester()?, call.text("type")?);
    call.state.account_data.remove(requester, room.as_deref(), kind).await?;
    reply::empty()
}
