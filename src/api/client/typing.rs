//! Typing notifications.
//!
//! Spec: client-server API, "Typing Notifications".

use ruma::OwnedRoomId;
use serde::Deserialize;

use crate::{
    extract::Call,
    presence::note_active,
    reply::{self, Outcome},
};

/// How long somebody types who does not say.
const TIMEOUT_DEFAULT_MS: u64 = 30_000;

/// `PUT /rooms/{roomId}/typing/{userId}`.
#[derive(Deserialize)]
struct SetTyping {
    typing: bool,
    timeout: Option<u64>,
}

/// `PUT /rooms/{roomId}/typing/{userId}`.
pub(crate) async fn set(call: Call) -> Outcome {
    call.own_user_id()?;
    let room: OwnedRoomId = call.id("roomId")?;
    let request: SetTyping = call.json()?;
    let timeout = request.typing.then_some(request.timeout.unwrap_or(TIMEOUT_DEFAULT_MS));
    call.state.typing.set(call.requester()?, &room, timeout).await?;
    note_active(&call).await;
    reply::empty()
}
