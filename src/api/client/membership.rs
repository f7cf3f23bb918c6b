//! Joining, leaving, knocking; inviting, kicking, banning.
//!
//! Spec: client-server API, "Room membership".

use room::{
    RoomView,
    membership::{OtherMembership, OwnMembership},
};
use ruma::{OwnedRoomId, OwnedRoomOrAliasId, OwnedServerName, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use store::numbers::CREATE;

use crate::{
    State,
    create_room::member_profile,
    error::{ApiError, BAD_JSON, MISSING_PARAM, NOT_FOUND, THREEPID_DENIED, UNKNOWN},
    extract::Call,
    guests::check_guest,
    rate::{Kind, Subject},
    reply::{self, Outcome},
};

/// The query of `/join/{roomIdOrAlias}` and `/knock/{roomIdOrAlias}`.
#[derive(Deserialize)]
struct Servers {
    #[serde(default)]
    via: Vec<OwnedServerName>,
    /// What `via` was called before.
    #[serde(default)]
    server_name: Vec<OwnedServerName>,
}

/// A body of requests about one's own membership.
#[derive(Deserialize)]
struct Own {
    reason: Option<String>,
    third_party_signed: Option<Box<RawValue>>,
}

/// A body of requests about somebody else's membership.
#[derive(Deserialize)]
struct Other {
    user_id: Option<OwnedUserId>,
    reason: Option<String>,
    /// Of an invitation by third-party identifier.
    medium: Option<String>,
}

/// A room and the servers that may know it.
struct Target {
    room_id: OwnedRoomId,
    via: Vec<OwnedServerName>,
}

/// The room that the path names, by its id or an alias.
async fn target(call: &Call) -> Result<Target, ApiError> {
    let named: OwnedRoomOrAliasId = call.id("roomIdOrAlias")?;
    let Servers { mut via, server_name } = call.query()?;
    if via.is_empty() {
        via = server_name;
    }
    let alias = match OwnedRoomId::try_from(named) {
        Ok(room_id) => return Ok(Target { room_id, via }),
        Err(alias) => alias,
    };
    let found = call.state.rooms.resolve_alias(&alias).await?;
    let (room_id, servers) = found.ok_or_else(|| NOT_FOUND.with("There is no such alias"))?;
    via.extend(servers);
    Ok(Target { room_id, via })
}

async fn own(call: &Call, target: Target) -> Result<OwnMembership, ApiError> {
    let Own { reason, third_party_signed } = call.json()?;
    let user = call.user_id()?.to_owned();
    let profile = member_profile(&call.state, &user).await?;
    let Target { room_id, via } = target;
    Ok(OwnMembership { user, room_id, reason, profile, via, third_party_signed })
}

/// `POST /join/{roomIdOrAlias}`.
pub(crate) async fn join_any(call: Call) -> Outcome {
    let target = target(&call).await?;
    join_target(&call, target).await
}

/// `POST /rooms/{roomId}/join`.
pub(crate) async fn join(call: Call) -> Outcome {
    let target = Target { room_id: call.id("roomId")?, via: Vec::new() };
    join_target(&call, target).await
}

async fn join_target(call: &Call, target: Target) -> Outcome {
    let room_id = target.room_id.clone();
    check_guest(call, &room_id).await?;
    let request = own(call, target).await?;
    // Whatever else the body says goes into the member event, which clients have long relied on.
    call.state.rooms.join_with(request, call.object()?).await?;
    carry_over(call, &room_id).await?;
    reply::json(&json!({ "room_id": room_id }))
}

/// In a room that replaces another one the user finds the tags of the old one again.
async fn carry_over(call: &Call, room_id: &RoomId) -> Result<(), ApiError> {
    let room = call.state.rooms.find(room_id).await?;
    if let Some(old) = room.and_then(|room| predecessor(&room.view())) {
        call.state.account_data.carry_over(call.user_id()?, &old, room_id).await?;
    }
    Ok(())
}

/// The room that a room replaces.
fn predecessor(view: &RoomView) -> Option<OwnedRoomId> {
    let create: Value = serde_json::from_str(view.state_pdu(CREATE)?.content()).ok()?;
    create.get("predecessor")?.get("room_id")?.as_str()?.try_into().ok()
}

/// `POST /knock/{roomIdOrAlias}`.
pub(crate) async fn knock(call: Call) -> Outcome {
    let target = target(&call).await?;
    let room_id = target.room_id.clone();
    let request = own(&call, target).await?;
    call.state.rooms.knock(request).await?;
    reply::json(&json!({ "room_id": room_id }))
}

/// `POST /rooms/{roomId}/leave`.
pub(crate) async fn leave(call: Call) -> Outcome {
    let target = Target { room_id: call.id("roomId")?, via: Vec::new() };
    let request = own(&call, target).await?;
    call.state.rooms.leave(request).await?;
    reply::empty()
}

/// `POST /rooms/{roomId}/forget`.
pub(crate) async fn forget(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    call.state.rooms.forget(call.user_id()?, &room_id).await?;
    reply::empty()
}

async fn other(call: &Call) -> Result<OtherMembership, ApiError> {
    let room_id = call.id("roomId")?;
    let Other { user_id, reason, medium } = call.json()?;
    if medium.is_some() {
        return Err(THREEPID_DENIED.with("This server cannot invite by third-party identifier"));
    }
    let target = user_id.ok_or_else(|| MISSING_PARAM.with("missing parameter user_id"))?;
    let profile = member_profile(&call.state, &target).await?;
    let sender = call.user_id()?.to_owned();
    Ok(OtherMembership { sender, target, room_id, reason, profile, is_direct: false })
}

/// `POST /rooms/{roomId}/invite`.
pub(crate) async fn invite(call: Call) -> Outcome {
    let request = other(&call).await?;
    call.state.rooms.invite(request).await?;
    reply::empty()
}

/// `POST /rooms/{roomId}/kick`.
pub(crate) async fn kick(call: Call) -> Outcome {
    let request = other(&call).await?;
    call.state.rooms.kick(request).await?;
    reply::empty()
}

/// `POST /rooms/{roomId}/ban`.
pub(crate) async fn ban(call: Call) -> Outcome {
    let request = other(&call).await?;
    call.state.rooms.ban(request).await?;
    reply::empty()
}

/// `POST /rooms/{roomId}/unban`.
pub(crate) async fn unban(call: Call) -> Outcome {
    let request = other(&call).await?;
    call.state.rooms.unban(request).await?;
    reply::empty()
}

/// Takes one invitation of the requester's for each, or none if they are too many.
pub(crate) fn count_invites(call: &Call, count: usize) -> Result<(), ApiError> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let limiter = call.state.limiter();
    if limiter.burst(Kind::Invite).is_some_and(|burst| count > burst) {
        // Nobody is to wait and try the same again.
        return Err(UNKNOWN.with("Too many invitations at once"));
    }
    let subject = Subject::User(call.requester()?.user());
    limiter.take_many(Kind::Invite, subject, count).map_err(ApiError::too_many)
}

/// The content of a member event that the client writes itself. It is counted as those of the
/// endpoints are, and the user's profile goes along with it as with theirs.
pub(crate) async fn member_content(
    call: &Call,
    room_id: &RoomId,
    target: &str,
) -> Result<Box<RawValue>, ApiError> {
    let content = call.content()?;
    match membership_of(&content).as_deref() {
        Some("invite") => count_invites(call, 1)?,
        Some("join") if !is_joined(call, room_id).await? => call.count(Kind::Join)?,
        _ => {}
    }
    with_profile(&call.state, target, content).await
}

async fn is_joined(call: &Call, room_id: &RoomId) -> Result<bool, ApiError> {
    let room = call.state.rooms.find(room_id).await?;
    Ok(room.is_some_and(|room| call.requester().is_ok_and(|own| room.view().is_joined(own.user()))))
}

/// What the content of a member event says that the user is.
pub(crate) fn membership_of(content: &RawValue) -> Option<String> {
    let content = serde_json::from_str::<Map<String, Value>>(content.get()).ok()?;
    Some(content.get("membership")?.as_str()?.to_owned())
}

/// The content with the user's profile, where a profile goes along and the content says nothing
/// else.
pub(crate) async fn with_profile(
    state: &State,
    target: &str,
    content: Box<RawValue>,
) -> Result<Box<RawValue>, ApiError> {
    let carries = |membership: &str| matches!(membership, "join" | "invite" | "knock");
    let (true, Ok(user)) =
        (membership_of(&content).is_some_and(|is| carries(&is)), OwnedUserId::try_from(target))
    else {
        return Ok(content);
    };
    let profile = member_profile(state, &user).await?;
    let mut fields = serde_json::from_str::<Map<String, Value>>(content.get())
        .map_err(|error| BAD_JSON.with(error.to_string()))?;
    let before = fields.len();
    for (key, value) in [("displayname", profile.displayname), ("avatar_url", profile.avatar_url)] {
        if let Some(value) = value {
            fields.entry(key).or_insert(Value::String(value));
        }
    }
    if fields.len() == before {
        return Ok(content);
    }
    to_raw_value(&fields).map_err(ApiError::internal)
}

/// `GET /joined_rooms`.
pub(crate) async fn joined_rooms(call: Call) -> Outcome {
    let rooms = call.state.rooms.joined_rooms(call.user_id()?).await?;
    reply::json(&json!({ "joined_rooms": rooms }))
}
