//! A user's memberships as the notifier keeps them.

use imbl::HashMap;
use proto::{
    number::{EventNumber, Position, RoomNumber},
    visibility::Membership as State,
};
use room::users::UserRoom;

/// All rooms that a user has a membership in, left and forgotten ones included.
pub(crate) type Memberships = HashMap<RoomNumber, Membership>;

/// What a user is in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Joined, invited, …
    pub(crate) state: State,
    /// The position of the change that made it so.
    pub(crate) position: Position,
    /// The member event that says so; none once the room's state names none any more.
    pub(crate) event: Option<EventNumber>,
}

impl From<&UserRoom> for Membership {
    fn from(room: &UserRoom) -> Self {
        Self { state: room.membership, position: room.position, event: Some(room.event) }
    }
}

impl Membership {
    /// Whether the user is in the room.
    pub(crate) fn is_joined(&self) -> bool {
        self.state == State::Join
    }
}
