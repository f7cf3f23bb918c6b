//! What this crate asks of rooms, as a small trait: `room::Rooms` answers in the server, a table does in tests.

use std::{future::Future, pin::Pin};

use proto::number::{Position, RoomNumber};
use ruma::{EventId, OwnedRoomId, OwnedUserId, RoomId, UserId};

use crate::Error;

/// A boxed future, since the trait is used as an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The two profile fields that stand in member events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// `displayname`.
    pub displayname: Option<String>,
    /// `avatar_url`.
    pub avatar_url: Option<String>,
}

/// What this crate asks of rooms.
pub trait RoomAccess: Send + Sync + 'static {
    /// The number of a room that this server knows.
    fn find<'a>(&'a self, room: &'a RoomId) -> Answer<'a, Option<RoomNumber>>;

    /// Whether the user is joined to the room.
    fn is_joined<'a>(&'a self, user: &'a UserId, room: &'a RoomId) -> Answer<'a, bool>;

    /// The rooms that the user is joined to.
    fn joined_rooms<'a>(
        &'a self,
        user: &'a UserId,
    ) -> Answer<'a, Vec<(RoomNumber, OwnedRoomId)>>;

    /// Everybody who is joined to the room.
    fn members<'a>(&'a self, room: &'a RoomId) -> Answer<'a, Vec<OwnedUserId>>;

    /// Whether the room's join rule or history visibility makes its members visible to everybody.
    fn is_public<'a>(&'a self, room: &'a RoomId) -> Answer<'a, bool>;

    /// Where the event stands in the room's order, when it is in the timeline of that room.
    fn event_position<'a>(
        &'a self,
        room: &'a RoomId,
        event: &'a EventId,
    ) -> Answer<'a, Option<Position>>;

    /// Puts a new member event with these profile fields into the room.
    fn update_member_profile<'a>(
        &'a self,
        user: &'a UserId,
        room: &'a RoomId,
        profile: MemberProfile,
    ) -> Answer<'a, ()>;

    /// Leaves every room, refuses every invitation, takes back every knock; goes on when one of them fails.
    fn leave_all<'a>(&'a self, user: &'a UserId) -> Answer<'a, ()>;
}
