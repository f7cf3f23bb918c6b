//! Reading the state of a room, its members among it.
//!
//! Spec: client-server API, "Getting events for a room".

use std::collections::BTreeMap;

use room::{
    Membership,
    query::{MembersRequest, Reading},
};
use ruma::{OwnedRoomId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, INVALID_PARAM},
    events::{Writer, parse_point, state_reader},
    extract::Call,
    reply::{self, Outcome},
};

/// The requester as a reader of a room.
pub(crate) fn reading<'a>(call: &'a Call, room_id: &'a RoomId) -> Result<Reading<'a>, ApiError> {
    let requester = call.requester()?;
    Ok(Reading { user: requester.user_id(), device: Some(requester.device_id()), room_id })
}

/// `GET /rooms/{roomId}/state`.
pub(crate) async fn all(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let events = call.state.rooms.state(reading(&call, &room_id)?).await?;
    let mut writer = Writer::new(events.len(), call.state.now_ms());
    writer.bare_state(&events);
    reply::raw(writer.end_list())
}

/// The query of `/state/{eventType}/{stateKey}`.
#[derive(Deserialize)]
struct OneQuery {
    format: Option<String>,
}

/// `GET /rooms/{roomId}/state/{eventType}/{stateKey}`.
pub(crate) async fn one(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let OneQuery { format } = call.query()?;
    let whole = match format.as_deref() {
        None | Some("content") => false,
        Some("event") => true,
        Some(_) => return Err(INVALID_PARAM.with("format is content or event")),
    };
    let (event_type, state_key) =
        (call.text("eventType")?, call.find_text("stateKey").unwrap_or_default());
    let reading = reading(&call, &room_id)?;
    let event = call.state.rooms.state_event(reading, event_type, state_key).await?;
    if !whole {
        return reply::raw(event.pdu().content().to_owned());
    }
    let mut body = String::new();
    event.write(state_reader(call.state.now_ms()), &mut body);
    reply::raw(body)
}

/// The query of `/members`.
#[derive(Deserialize)]
struct MembersQuery {
    at: Option<String>,
    membership: Option<String>,
    not_membership: Option<String>,
}

/// `GET /rooms/{roomId}/members`.
pub(crate) async fn members(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let query: MembersQuery = call.query()?;
    let request = MembersRequest {
        at: parse_point("at", query.at.as_deref())?,
        membership: parse_membership(query.membership.as_deref())?,
        not_membership: parse_membership(query.not_membership.as_deref())?,
    };
    let events = call.state.rooms.members(reading(&call, &room_id)?, request).await?;
    let mut writer = Writer::new(events.len(), call.state.now_ms());
    writer.state("chunk", &events);
    reply::raw(writer.end())
}

fn parse_membership(membership: Option<&str>) -> Result<Option<Membership>, ApiError> {
    Ok(Some(match membership {
        None => return Ok(None),
        Some("join") => Membership::Join,
        Some("invite") => Membership::Invite,
        Some("knock") => Membership::Knock,
        Some("leave") => Membership::Leave,
        Some("ban") => Membership::Ban,
        Some(_) => return Err(INVALID_PARAM.with("this membership is not known")),
    }))
}

/// A joined member.
#[derive(Serialize)]
struct Joined<'a> {
    display_name: Option<&'a str>,
    avatar_url: Option<&'a str>,
}

/// The answer of `/joined_members`.
#[derive(Serialize)]
struct JoinedMembers<'a> {
    joined: BTreeMap<&'a UserId, Joined<'a>>,
}

/// `GET /rooms/{roomId}/joined_members`.
pub(crate) async fn joined_members(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let members = call.state.rooms.joined_members(reading(&call, &room_id)?).await?;
    let joined = members.iter().map(|member| {
        let profile = Joined {
            display_name: member.displayname.as_deref(),
            avatar_url: member.avatar_url.as_deref(),
        };
        (&*member.user_id, profile)
    });
    reply::json(&JoinedMembers { joined: joined.collect() })
}
