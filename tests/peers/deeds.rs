//! What users do in the room of a play, each on her own server.

use proto::draft::Draft;
use room::{
    MemberProfile, RoomError, Rooms, Submission, Submitted,
    create::CreateRoom,
    membership::{OtherMembership, OwnMembership},
};
use ruma::{OwnedRoomId, OwnedServerName, UserId, api::client::room::create_room::v3::RoomPreset};
use serde_json::{Value, value::to_raw_value};

/// The rooms of one server, for deeds in one of them.
pub(crate) struct Deeds<'p> {
    pub(crate) rooms: &'p Rooms,
    pub(crate) room: &'p OwnedRoomId,
}

/// A public room of the default version.
pub(crate) fn creation(creator: &UserId) -> CreateRoom {
    CreateRoom {
        creator: creator.to_owned(),
        profile: MemberProfile::default(),
        version: None,
        public: false,
        preset: Some(RoomPreset::PublicChat),
        alias_localpart: None,
        name: None,
        topic: None,
        invite: Vec::new(),
        is_direct: false,
        creation_content: None,
        initial_state: Vec::new(),
        power_level_content_override: None,
    }
}

impl Deeds<'_> {
    /// Sends any event.
    pub(crate) async fn submit(
        &self,
        sender: &UserId,
        (event_type, state_key, content): (&str, Option<&str>, Value),
    ) -> Result<Submitted, RoomError> {
        let draft = Draft {
            sender: sender.to_owned(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(str::to_owned),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
        };
        let room_id = self.room.clone();
        self.rooms.submit(Submission { room_id, draft, timestamp_ms: None, txn: None }).await
    }

    /// Joins, by one of these servers if this one is not in the room.
    pub(crate) async fn join(
        &self,
        user: &UserId,
        via: Vec<OwnedServerName>,
    ) -> Result<Submitted, RoomError> {
        self.rooms.join(OwnMembership { via, ..self.own(user) }).await
    }

    /// A user's request about herself.
    pub(crate) fn own(&self, user: &UserId) -> OwnMembership {
        OwnMembership {
            user: user.to_owned(),
            room_id: self.room.clone(),
            reason: None,
            profile: MemberProfile::default(),
            via: Vec::new(),
            third_party_signed: None,
        }
    }

    /// A user's request about another.
    pub(crate) fn other(&self, sender: &UserId, target: &UserId) -> OtherMembership {
        OtherMembership {
            sender: sender.to_owned(),
            target: target.to_owned(),
            room_id: self.room.clone(),
            reason: None,
            profile: MemberProfile::default(),
            is_direct: false,
        }
    }
}
