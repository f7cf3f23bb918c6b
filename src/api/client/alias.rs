//! Room aliases.
//!
//! Spec: client-server API, "Room Aliases".

use ruma::{
    OwnedRoomAliasId, OwnedRoomId,
    api::client::{
        alias::{create_alias, get_alias},
        room::aliases,
    },
};

use crate::{
    error::{ApiError, CONFLICT, INVALID_PARAM, NOT_FOUND, ROOM_IN_USE},
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /directory/room/{roomAlias}`.
pub(crate) async fn resolve(call: Call) -> Outcome {
    let alias: OwnedRoomAliasId = call.id("roomAlias")?;
    let found = call.state.rooms.resolve_alias(&alias).await?;
    let (room_id, servers) = found.ok_or_else(|| NOT_FOUND.with("There is no such alias"))?;
    reply::ruma(get_alias::v3::Response::new(room_id, servers))
}

/// `PUT /directory/room/{roomAlias}`.
pub(crate) async fn create(call: Call) -> Outcome {
    let create_alias::v3::Request { room_alias, room_id, .. } = call.ruma()?;
    if room_alias.server_name() != call.state.server_name {
        return Err(INVALID_PARAM.with("The alias belongs to another server"));
    }
    let (user, is_admin) = (call.user_id()?, call.requester()?.is_admin());
    let created = call.state.rooms.create_alias(user, &room_alias, &room_id, is_admin).await;
    created.map_err(|error| ApiError::from(error).or_as(ROOM_IN_USE, CONFLICT))?;
    reply::empty()
}

/// `DELETE /directory/room/{roomAlias}`.
pub(crate) async fn remove(call: Call) -> Outcome {
    let alias: OwnedRoomAliasId = call.id("roomAlias")?;
    let requester = call.requester()?;
    call.state.rooms.delete_alias(requester.user_id(), &alias, requester.is_admin()).await?;
    reply::empty()
}

/// `GET /rooms/{roomId}/aliases`.
pub(crate) async fn list(call: Call) -> Outcome {
    let room_id: OwnedRoomId = call.id("roomId")?;
    let requester = call.requester()?;
    let found =
        call.state.rooms.aliases(requester.user_id(), &room_id, requester.is_admin()).await?;
    reply::ruma(aliases::v3::Response::new(found))
}
