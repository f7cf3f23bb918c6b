//! Changes of membership that clients ask for.
//!
//! Spec: client-server API, "Room membership".

use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;

use crate::{RoomError, Rooms, Submitted};

/// The profile fields that stand in member events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// `displayname`.
    pub displayname: Option<String>,
    /// `avatar_url`.
    pub avatar_url: Option<String>,
}

/// A request about one's own membership: to join, to leave, to knock.
#[derive(Clone, Debug)]
pub struct OwnMembership {
    /// Who asks.
    pub user: OwnedUserId,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why.
    pub reason: Option<String>,
    /// The user's profile, for joins and knocks.
    pub profile: MemberProfile,
    /// Servers that may know the room.
    pub via: Vec<OwnedServerName>,
    /// `third_party_signed` of a join by a third-party invite.
    pub third_party_signed: Option<Box<RawValue>>,
}

/// A request about somebody else's membership: to invite, kick, ban, unban.
#[derive(Clone, Debug)]
pub struct OtherMembership {
    /// Who asks.
    pub sender: OwnedUserId,
    /// Whose membership it is.
    pub target: OwnedUserId,
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why.
    pub reason: Option<String>,
    /// The target's profile, for invites.
    pub profile: MemberProfile,
    /// `is_direct`, for invites.
    pub is_direct: bool,
}

impl Rooms {
    /// Joins a room. For a user who is joined already nothing happens.
    pub async fn join(&self, request: OwnMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Knocks on a room.
    pub async fn knock(&self, request: OwnMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Leaves a room, refuses an invitation or takes back a knock.
    pub async fn leave(&self, request: OwnMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Invites a user.
    pub async fn invite(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Kicks a user: also takes back an invitation or refuses a knock.
    pub async fn kick(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Bans a user.
    pub async fn ban(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Unbans a user.
    pub async fn unban(&self, request: OtherMembership) -> Result<Submitted, RoomError> {
        let _ = request;
        todo!()
    }

    /// Forgets a room that the user has left.
    pub async fn forget(&self, user: &UserId, room_id: &RoomId) -> Result<(), RoomError> {
        let _ = (user, room_id);
        todo!()
    }

    /// Puts a new member event with these profile fields into a room that the user is joined to.
    pub async fn update_profile(
        &self,
        user: &UserId,
        room_id: &RoomId,
        profile: MemberProfile,
    ) -> Result<(), RoomError> {
        let _ = (user, room_id, profile);
        todo!()
    }
}
