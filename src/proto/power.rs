//! Power levels of a room, as the authorization rules see them.
//!
//! Spec: client-server API, `m.room.power_levels`; the "Authorisation rules" of each room version.

use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId};

use crate::pdu::Pdu;

/// A user's power: creators of rooms in version 12 stand above every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// A number.
    Level(i64),
    /// Above every number.
    Infinite,
}

/// The power levels of one state of a room.
#[derive(Clone, Debug)]
pub struct Powers {
    creators: Vec<OwnedUserId>,
    privileged: bool,
    has_event: bool,
    users: BTreeMap<Box<str>, i64>,
    events: BTreeMap<Box<str>, i64>,
    notifications: BTreeMap<Box<str>, i64>,
    levels: [i64; 7],
}

/// The named levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// To ban.
    Ban,
    /// To kick.
    Kick,
    /// To invite.
    Invite,
    /// To redact others' events.
    Redact,
    /// What users have who are not named.
    UsersDefault,
    /// What messages need whose type is not named.
    EventsDefault,
    /// What state events need whose type is not named.
    StateDefault,
}

impl Powers {
    /// Reads them from the room's create event and, if it has one, its power levels event.
    pub fn of(create: &Pdu, power_levels: Option<&Pdu>) -> Powers {
        todo!()
    }

    /// The room's creators: one, or in room version 12 several.
    pub fn creators(&self) -> &[OwnedUserId] {
        &self.creators
    }

    /// A user's power.
    pub fn of_user(&self, user: &UserId) -> Power {
        todo!()
    }

    /// A named level.
    pub fn level(&self, level: Level) -> i64 {
        todo!()
    }

    /// What sending an event of this type needs.
    pub fn to_send(&self, event_type: &str, is_state: bool) -> i64 {
        todo!()
    }

    /// What a notification of this kind (`room`) needs.
    pub fn to_notify(&self, kind: &str) -> i64 {
        todo!()
    }

    /// Whether the user's power reaches a named level.
    pub fn reaches(&self, user: &UserId, level: Level) -> bool {
        todo!()
    }

    /// Whether the user's power suffices to send an event of this type.
    pub fn may_send(&self, user: &UserId, event_type: &str, is_state: bool) -> bool {
        todo!()
    }
}
