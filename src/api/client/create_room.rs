//! New rooms.
//!
//! Spec: client-server API, "Creation".

use room::{
    MemberProfile,
    create::{CreateRoom, INITIAL_STATE_MAX, INVITES_MAX, InitialState},
};
use ruma::{OwnedUserId, RoomVersionId, UserId, api::client::room::create_room::v3::RoomPreset};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};

use crate::{
    State,
    error::{ApiError, INVALID_PARAM, THREEPID_DENIED, UNKNOWN},
    extract::Call,
    membership::{count_invites, membership_of, with_profile},
    reply::{self, Outcome},
};

/// `POST /createRoom`.
#[derive(Deserialize)]
struct Request {
    visibility: Option<String>,
    room_alias_name: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    invite: Vec<OwnedUserId>,
    #[serde(default)]
    invite_3pid: Vec<IgnoredAny>,
    room_version: Option<RoomVersionId>,
    creation_content: Option<Box<RawValue>>,
    #[serde(default)]
    initial_state: Vec<StateEvent>,
    preset: Option<String>,
    #[serde(default)]
    is_direct: bool,
    power_level_content_override: Option<Box<RawValue>>,
}

/// A state event that the room begins with.
#[derive(Deserialize)]
struct StateEvent {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    state_key: String,
    content: Box<RawValue>,
}

/// The state that a room begins with, the profiles in its member events, and how many of these
/// invite somebody.
async fn initial_state(
    state: &State,
    events: Vec<StateEvent>,
) -> Result<(Vec<InitialState>, usize), ApiError> {
    let mut invites = 0;
    let mut all = Vec::with_capacity(events.len());
    for StateEvent { event_type, state_key, mut content } in events {
        if event_type == "m.room.member" {
            content = with_profile(state, &state_key, content).await?;
            invites += usize::from(membership_of(&content).as_deref() == Some("invite"));
        }
        all.push(InitialState { event_type, state_key, content });
    }
    Ok((all, invites))
}

/// `POST /createRoom`.
pub(crate) async fn create(call: Call) -> Outcome {
    let request: Request = call.json()?;
    if !request.invite_3pid.is_empty() {
        return Err(THREEPID_DENIED.with("This server cannot invite by third-party identifier"));
    }
    if request.invite.len() > INVITES_MAX || request.initial_state.len() > INITIAL_STATE_MAX {
        return Err(UNKNOWN.with("Too many invitations or state events at once"));
    }
    let (initial_state, invites) = initial_state(&call.state, request.initial_state).await?;
    count_invites(&call, request.invite.len() + invites)?;
    let creator = call.user_id()?.to_owned();
    let profile = member_profile(&call.state, &creator).await?;
    let mut invite = Vec::with_capacity(request.invite.len());
    for user in request.invite {
        let profile = member_profile(&call.state, &user).await?;
        invite.push((user, profile));
    }
    let create = CreateRoom {
        creator,
        profile,
        version: request.room_version,
        public: parse_visibility(request.visibility.as_deref(), false)?,
        preset: request.preset.as_deref().map(parse_preset).transpose()?,
        alias_localpart: request.room_alias_name,
        name: request.name,
        topic: request.topic,
        invite,
        is_direct: request.is_direct,
        creation_content: request.creation_content,
        initial_state,
        power_level_content_override: request.power_level_content_override,
    };
    let room_id = call.state.rooms.create(create).await?;
    reply::json(&json!({ "room_id": room_id }))
}

/// Whether a room is to be public; `default` where the client does not say.
pub(crate) fn parse_visibility(visibility: Option<&str>, default: bool) -> Result<bool, ApiError> {
    match visibility {
        None => Ok(default),
        Some("public") => Ok(true),
        Some("private") => Ok(false),
        Some(_) => Err(INVALID_PARAM.with("visibility is public or private")),
    }
}

fn parse_preset(preset: &str) -> Result<RoomPreset, ApiError> {
    match preset {
        "private_chat" => Ok(RoomPreset::PrivateChat),
        "public_chat" => Ok(RoomPreset::PublicChat),
        "trusted_private_chat" => Ok(RoomPreset::TrustedPrivateChat),
        _ => Err(INVALID_PARAM.with("this preset is not known")),
    }
}

/// The profile fields that go into a user's member event.
pub(crate) async fn member_profile(
    state: &State,
    user: &UserId,
) -> Result<MemberProfile, ApiError> {
    let profile = state.profiles.member_profile(user).await?;
    Ok(MemberProfile { displayname: profile.displayname, avatar_url: profile.avatar_url })
}
