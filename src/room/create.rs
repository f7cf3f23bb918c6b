//! Creating rooms: one atomic change of the store, however many events it takes.
//!
//! Spec: client-server API, `POST /createRoom`.

use ruma::{OwnedRoomId, OwnedUserId, RoomVersionId, api::client::room::create_room::v3::RoomPreset};
use serde_json::value::RawValue;

use crate::{MemberProfile, RoomError, Rooms};

/// A state event that a new room begins with.
#[derive(Clone, Debug)]
pub struct InitialState {
    /// Its type.
    pub event_type: String,
    /// Its state key.
    pub state_key: String,
    /// Its content.
    pub content: Box<RawValue>,
}

/// What a new room is to be like.
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// Who creates it.
    pub creator: OwnedUserId,
    /// The creator's profile.
    pub profile: MemberProfile,
    /// Its version; the configured one if `None`.
    pub version: Option<RoomVersionId>,
    /// Whether it is in the public directory.
    pub public: bool,
    /// The preset; by visibility if `None`.
    pub preset: Option<RoomPreset>,
    /// The local part of its alias.
    pub alias_localpart: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Who is invited, with their profiles.
    pub invite: Vec<(OwnedUserId, MemberProfile)>,
    /// Whether the invites say that it is a direct chat.
    pub is_direct: bool,
    /// Further keys of the create event's content.
    pub creation_content: Option<Box<RawValue>>,
    /// State that it begins with.
    pub initial_state: Vec<InitialState>,
    /// Keys that replace those of the preset's power levels.
    pub power_level_content_override: Option<Box<RawValue>>,
}

impl Rooms {
    /// Creates a room.
    pub async fn create(&self, request: CreateRoom) -> Result<OwnedRoomId, RoomError> {
        let _ = request;
        todo!()
    }
}
