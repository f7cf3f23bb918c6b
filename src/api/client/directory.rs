//! The public room directory.
//!
//! Spec: client-server API, "Listing rooms".

use room::directory::{DirectoryPage, DirectoryQuery, PublishedRoom};
use ruma::{
    OwnedRoomId, OwnedServerName, UInt,
    api::client::directory::{get_public_rooms, get_public_rooms_filtered},
    directory::RoomNetwork,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    create_room::parse_visibility,
    error::{ApiError, MISSING_TOKEN, NO_PEER, NOT_FOUND},
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /directory/list/room/{roomId}`.
pub(crate) async fn visibility(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    if call.state.rooms.find(&room_id).await?.is_none() {
        return Err(NOT_FOUND.with("This server does not know the room"));
    }
    let public = call.state.rooms.is_published(&room_id).await?;
    reply::json(&json!({ "visibility": if public { "public" } else { "private" } }))
}

/// `PUT /directory/list/room/{roomId}`.
#[derive(Deserialize)]
struct SetVisibility {
    visibility: Option<String>,
}

/// `PUT /directory/list/room/{roomId}`.
pub(crate) async fn set_visibility(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let request: SetVisibility = call.json()?;
    let public = parse_visibility(request.visibility.as_deref(), true)?;
    if call.state.rooms.find(&room_id).await?.is_none() {
        return Err(NOT_FOUND.with("This server does not know the room"));
    }
    let requester = call.requester()?;
    let (user_id, is_admin) = (requester.user_id(), requester.is_admin());
    call.state.rooms.publish(user_id, &room_id, public, is_admin).await?;
    reply::empty()
}

/// A room as clients see it in the directory.
#[derive(Serialize)]
struct RoomReply<'a> {
    room_id: &'a OwnedRoomId,
    num_joined_members: u64,
    world_readable: bool,
    guest_can_join: bool,
    join_rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_type: Option<&'a str>,
}

impl<'a> From<&'a PublishedRoom> for RoomReply<'a> {
    fn from(room: &'a PublishedRoom) -> Self {
        Self {
            room_id: &room.room_id,
            num_joined_members: room.joined_members,
            world_readable: room.world_readable,
            guest_can_join: room.guest_can_join,
            join_rule: room.join_rule.as_str(),
            canonical_alias: room.canonical_alias.as_ref().map(|alias| alias.as_str()),
            name: room.name.as_deref(),
            topic: room.topic.as_deref(),
            avatar_url: room.avatar_url.as_ref().map(|url| url.as_str()),
            room_type: room.room_type.as_deref(),
        }
    }
}

/// The answer of `/publicRooms`.
#[derive(Serialize)]
struct PageReply<'a> {
    chunk: Vec<RoomReply<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_batch: Option<&'a str>,
    total_room_count_estimate: u64,
}

/// `GET /publicRooms`.
pub(crate) async fn public_rooms(call: Call) -> Outcome {
    let request: get_public_rooms::v3::Request = call.ruma()?;
    check(&call, request.server.as_ref())?;
    let question = DirectoryQuery {
        limit: limit(request.limit),
        since: request.since.filter(|since| !since.is_empty()),
        ..DirectoryQuery::default()
    };
    answer(&call.state.rooms.public_rooms(question).await?)
}

/// `POST /publicRooms`.
pub(crate) async fn search(call: Call) -> Outcome {
    let request: get_public_rooms_filtered::v3::Request = call.ruma()?;
    check(&call, request.server.as_ref())?;
    if matches!(request.room_network, RoomNetwork::ThirdParty(_)) {
        // Only application services bring networks, and there are none.
        return answer(&DirectoryPage::default());
    }
    let room_types = request.filter.room_types.iter();
    let question = DirectoryQuery {
        search_term: request.filter.generic_search_term.filter(|term| !term.is_empty()),
        room_types: room_types.map(|kind| kind.as_str().map(str::to_owned)).collect(),
        limit: limit(request.limit),
        since: request.since.filter(|since| !since.is_empty()),
    };
    answer(&call.state.rooms.public_rooms(question).await?)
}

/// Whether the caller may see the directory, and whether it is ours.
fn check(call: &Call, server: Option<&OwnedServerName>) -> Result<(), ApiError> {
    if call.requester.is_none() && !call.state.room_settings.load().directory_without_login {
        return Err(MISSING_TOKEN.with("Missing access token"));
    }
    match server {
        Some(server) if *server != call.state.server_name => {
            Err(NO_PEER.with("The directories of other servers cannot be reached"))
        }
        _ => Ok(()),
    }
}

/// How many are asked for; nobody asks for none, so that 0 means as many as there may be.
fn limit(limit: Option<UInt>) -> Option<usize> {
    let limit = limit.map(u64::from).filter(|limit| *limit > 0)?;
    Some(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn answer(page: &DirectoryPage) -> Outcome {
    reply::json(&PageReply {
        chunk: page.rooms.iter().map(RoomReply::from).collect(),
        next_batch: page.next_batch.as_deref(),
        prev_batch: page.prev_batch.as_deref(),
        total_room_count_estimate: page.total,
    })
}
