//! Restricted joins: whether a condition lets a user in, and who authorises it.
//!
//! Spec: client-server API, "Restricted rooms"; room version 8, "Authorisation rules".

use proto::{power::Level, visibility::Membership};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use store::numbers::JOIN_RULES;

use crate::{RoomError, RoomView, Rooms, view::JoinRule};

/// How many conditions of a join rule are looked at.
const CONDITIONS_MAX: usize = 100;

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    room_id: Option<OwnedRoomId>,
}

/// The user who authorises a join, if the join rule wants one; `None` if the user may join without.
pub(crate) async fn authorise_join(
    rooms: &Rooms,
    view: &RoomView,
    user: &UserId,
) -> Result<Option<OwnedUserId>, RoomError> {
    let rule = view.join_rule();
    let restricted = match rule {
        JoinRule::Restricted => view.rules().restricted_joins(),
        JoinRule::KnockRestricted => view.rules().knock_restricted_joins(),
        _ => false,
    };
    let number = rooms.inner.find_user(user).await?;
    let membership = number.map_or(Membership::Leave, |number| view.membership(number));
    // Whoever is banned is told so by the authorization rules.
    if !restricted || membership != Membership::Leave && membership != Membership::Knock {
        return Ok(None);
    }
    match fulfils_a_condition(rooms, view, user).await? {
        Some(true) => {}
        Some(false) => {
            return Err(RoomError::Forbidden(
                "you are in none of the rooms that let you join this one",
            ));
        }
        None => return Err(RoomError::UnableToAuthoriseJoin),
    }
    let may_invite = |local: &UserId| view.powers().reaches(local, Level::Invite);
    let locals = view.joined_local().filter_map(|local| view.member(local));
    let authorising = locals.map(|member| &*member.user_id).find(|local| may_invite(local));
    authorising.map(|user| Some(user.to_owned())).ok_or(RoomError::UnableToGrantJoin)
}

/// Whether the user is in one of the rooms that the join rule names; `None` if that hangs on a room
/// that this server cannot look into.
async fn fulfils_a_condition(
    rooms: &Rooms,
    view: &RoomView,
    user: &UserId,
) -> Result<Option<bool>, RoomError> {
    let mut answer = Some(false);
    for room_id in allowed_rooms(view) {
        match is_joined(rooms, &room_id, user).await? {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => answer = None,
        }
    }
    Ok(answer)
}

/// The rooms whose members the join rule lets in.
pub(crate) fn allowed_rooms(view: &RoomView) -> Vec<OwnedRoomId> {
    let Some(rule) = view.state_pdu(JOIN_RULES) else { return Vec::new() };
    let conditions = rule.content_field::<Vec<serde_json::Value>>("allow").unwrap_or_default();
    let read = |condition| serde_json::from_value::<Condition>(condition).ok();
    conditions
        .into_iter()
        .take(CONDITIONS_MAX)
        .filter_map(read)
        .filter(|condition| condition.kind == "m.room_membership")
        .filter_map(|condition| condition.room_id)
        .collect()
}

/// Whether a user is joined to a room; `None` if this server is not in it and cannot tell.
async fn is_joined(
    rooms: &Rooms,
    room_id: &RoomId,
    user: &UserId,
) -> Result<Option<bool>, RoomError> {
    let Some(room) = rooms.find(room_id).await? else { return Ok(None) };
    let view = room.view();
    if view.joined_local().next().is_none() {
        return Ok(None);
    }
    let number = rooms.inner.find_user(user).await?;
    Ok(Some(number.is_some_and(|number| view.is_joined(number))))
}
