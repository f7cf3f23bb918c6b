//! Guests in rooms: where they get in, and that they leave a room that lets them in no more.
//!
//! Invariant: what guests may do as such says the table of routes; here stands what depends on the
//! room.
//!
//! Spec: client-server API, "Guest Access".

use room::{MemberProfile, membership::OwnMembership};
use ruma::{EventId, OwnedUserId, RoomId};
use serde_json::Value;
use store::numbers::GUEST_ACCESS;

use crate::{
    error::{ApiError, GUEST},
    extract::Call,
};

/// Guests join only where the room lets them.
pub(crate) async fn check_guest(call: &Call, room_id: &RoomId) -> Result<(), ApiError> {
    if !call.requester()?.is_guest() {
        return Ok(());
    }
    match call.state.rooms.find(room_id).await? {
        Some(room) if room.view().guests_may_join() => Ok(()),
        _ => Err(GUEST.with("Guests may not join this room")),
    }
}

/// Guests get no further with a member event of their own making than with the endpoints, which let
/// them join and leave.
pub(crate) async fn check_member_event(call: &Call, room_id: &RoomId) -> Result<(), ApiError> {
    if !call.requester()?.is_guest() {
        return Ok(());
    }
    match call.object()?.get("membership").and_then(Value::as_str) {
        Some("leave") => Ok(()),
        Some("join") => check_guest(call, room_id).await,
        _ => Err(GUEST.with("Guests may not do this")),
    }
}

/// Has the guests of this server leave a room that this event has closed to them: one that says so,
/// or one that is redacted and says nothing any more. What goes wrong is logged, as the event
/// stands. Whoever sends the same state again has it tried again.
pub(crate) async fn expel(call: &Call, room_id: &RoomId, event_id: &EventId) {
    if let Err(error) = try_expel(call, room_id, event_id).await {
        tracing::warn!(MATRIX_ROOM = %room_id, ?error, "guests stay in a room closed to them");
    }
}

async fn try_expel(call: &Call, room_id: &RoomId, event_id: &EventId) -> Result<(), ApiError> {
    let Some(room) = call.state.rooms.find(room_id).await? else { return Ok(()) };
    let view = room.view();
    let access = view.state_pdu(GUEST_ACCESS).map(|access| access.event_id());
    if access != Some(event_id) || view.guests_may_join() {
        return Ok(());
    }
    let members = view.joined_local().filter_map(|user| view.member(user));
    let named = members.map(|member| &member.user_id).filter(|user_id| is_named(user_id));
    for user in named.cloned().collect::<Vec<_>>() {
        let account = call.state.accounts.find(&user).await?;
        if account.is_some_and(|account| account.guest) {
            call.state.rooms.leave(departure(user, room_id)).await?;
        }
    }
    Ok(())
}

/// Whether a user is called as only guests are: by digits.
fn is_named(user_id: &OwnedUserId) -> bool {
    user_id.localpart().bytes().all(|byte| byte.is_ascii_digit())
}

fn departure(user: OwnedUserId, room_id: &RoomId) -> OwnMembership {
    OwnMembership {
        user,
        room_id: room_id.to_owned(),
        reason: Some("guests may not be in this room any more".to_owned()),
        profile: MemberProfile::default(),
        via: Vec::new(),
        third_party_signed: None,
    }
}
