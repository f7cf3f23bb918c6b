//! Presence.
//!
//! Spec: client-server API, "Presence".

use std::time::Duration;

use ruma::{
    OwnedUserId,
    api::client::presence::{get_presence, set_presence},
    presence::PresenceState,
};

use crate::{
    error::INVALID_PARAM,
    extract::Call,
    reply::{self, Outcome},
};

/// Notes that the user did something that others hear of: wrote, read, typed. It is done already,
/// so nothing that goes wrong here is told.
pub(crate) async fn note_active(call: &Call) {
    if let Ok(requester) = call.requester()
        && let Err(error) = call.state.presence.active(requester).await
    {
        tracing::warn!(%error, "presence could not be noted");
    }
}

/// `GET /presence/{userId}/status`.
pub(crate) async fn find(call: Call) -> Outcome {
    let user_id: OwnedUserId = call.id("userId")?;
    let found = call.state.presence.find(call.requester()?, &user_id).await?;
    let mut response = get_presence::v3::Response::new(found.state);
    response.status_msg = found.status_msg;
    response.last_active_ago = found.last_active_ago_ms.map(Duration::from_millis);
    response.currently_active = Some(found.currently_active);
    reply::ruma(response)
}

/// `PUT /presence/{userId}/status`.
pub(crate) async fn set(call: Call) -> Outcome {
    call.own_user_id()?;
    let request: set_presence::v3::Request = call.ruma()?;
    let known = [PresenceState::Online, PresenceState::Offline, PresenceState::Unavailable];
    if !known.contains(&request.presence) {
        return Err(INVALID_PARAM.with("presence is online, offline or unavailable"));
    }
    call.state.presence.set(call.requester()?, request.presence, request.status_msg).await?;
    reply::empty()
}
