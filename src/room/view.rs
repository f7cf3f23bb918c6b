//! A room as one moment shows it: immutable, shared, read without the database.

use std::sync::Arc;

use proto::{
    number::{EventNumber, RoomNumber, StateGroup, StateKeyNumber, UserNumber},
    power::Powers,
    rules::Rules,
    state::StateMap,
    visibility::{HistoryVisibility, Membership},
};
use ruma::{OwnedRoomId, RoomId, UserId};

use crate::Event;

/// A committed, immutable picture of a room.
pub struct RoomView {
    pub(crate) number: RoomNumber,
    pub(crate) id: OwnedRoomId,
    pub(crate) rules: &'static Rules,
    pub(crate) revision: u64,
    pub(crate) group: StateGroup,
    pub(crate) state: StateMap,
}

/// A member whom the view knows: joined, invited, knocking or banned.
#[derive(Clone, Debug)]
pub struct Member {
    /// The user.
    pub user_id: Arc<UserId>,
    /// How the user stands to the room.
    pub membership: Membership,
    /// The member event.
    pub event: EventNumber,
}

/// The room's join rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRule {
    /// Everybody may join.
    Public,
    /// Whoever is invited. The default, also for unknown values.
    Invite,
    /// As `Invite`; others may ask.
    Knock,
    /// Whoever is invited or fulfils a condition.
    Restricted,
    /// Both of the above.
    KnockRestricted,
    /// Nobody.
    Private,
}

impl RoomView {
    /// The room's number in the store.
    pub fn number(&self) -> RoomNumber {
        self.number
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// The rules of the room's version.
    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// How often the room has changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The stored group that is the current state.
    pub fn group(&self) -> StateGroup {
        self.group
    }

    /// The current state.
    pub fn state(&self) -> &StateMap {
        &self.state
    }

    /// The number of the current state event under this key.
    pub fn state_event(&self, key: StateKeyNumber) -> Option<EventNumber> {
        self.state.get(&key).copied()
    }

    /// The create event.
    pub fn create(&self) -> &Arc<Event> {
        todo!()
    }

    /// The power levels, parsed once.
    pub fn powers(&self) -> &Arc<Powers> {
        todo!()
    }

    /// The join rule.
    pub fn join_rule(&self) -> JoinRule {
        todo!()
    }

    /// The history visibility.
    pub fn history_visibility(&self) -> HistoryVisibility {
        todo!()
    }

    /// Whether guests may join.
    pub fn guests_may_join(&self) -> bool {
        todo!()
    }

    /// Whether the room is encrypted.
    pub fn is_encrypted(&self) -> bool {
        todo!()
    }

    /// How many users are joined.
    pub fn joined_count(&self) -> usize {
        todo!()
    }

    /// How many users are invited.
    pub fn invited_count(&self) -> usize {
        todo!()
    }

    /// How a user stands to the room; `Leave` for those who never were in it.
    pub fn membership(&self, user: UserNumber) -> Membership {
        let _ = user;
        todo!()
    }

    /// Whether a user is joined.
    pub fn is_joined(&self, user: UserNumber) -> bool {
        self.membership(user) == Membership::Join
    }

    /// The joined users of this server.
    pub fn joined_local(&self) -> impl Iterator<Item = UserNumber> + '_ {
        std::iter::empty()
    }

    /// Everybody who is joined, by number.
    pub fn joined(&self) -> impl Iterator<Item = (UserNumber, &Member)> + '_ {
        std::iter::empty()
    }

    /// Everybody whom the view knows (all but those who left), by number.
    pub fn members(&self) -> impl Iterator<Item = (UserNumber, &Member)> + '_ {
        std::iter::empty()
    }

    /// Up to `most` joined or invited users other than `me`, oldest first: the heroes of a room without a name. When there
    /// is nobody, those who are banned.
    pub fn heroes(&self, me: UserNumber, most: usize) -> Vec<(UserNumber, Member)> {
        let _ = (me, most);
        todo!()
    }
}
