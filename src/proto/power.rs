//! Power levels of a room, as the authorization rules see them.
//!
//! For asking before an event is made (who can invite, what a user may do); whether an event is
//! allowed is [`crate::auth`]'s to say. Spec: client-server API, `m.room.power_levels`; the
//! "Authorisation rules" of each version.

use std::collections::BTreeMap;

use ruma::{OwnedUserId, UserId};

use crate::{
    json::{Form, Object, Value, parse_object},
    pdu::Pdu,
    rules::Rules,
};

/// A user's power: creators of rooms in version 12 stand above every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// A number.
    Level(i64),
    /// Above every number.
    Infinite,
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

impl Level {
    const ALL: [Level; 7] = [
        Level::Ban,
        Level::Kick,
        Level::Invite,
        Level::Redact,
        Level::UsersDefault,
        Level::EventsDefault,
        Level::StateDefault,
    ];

    /// The field of the event's content.
    pub fn field(self) -> &'static str {
        match self {
            Level::Ban => "ban",
            Level::Kick => "kick",
            Level::Invite => "invite",
            Level::Redact => "redact",
            Level::UsersDefault => "users_default",
            Level::EventsDefault => "events_default",
            Level::StateDefault => "state_default",
        }
    }

    /// The level where the event, or the field, is missing.
    pub fn default_level(self) -> i64 {
        match self {
            Level::Ban | Level::Kick | Level::Redact | Level::StateDefault => 50,
            Level::Invite | Level::UsersDefault | Level::EventsDefault => 0,
        }
    }
}

/// What the room's creator has while there is no `m.room.power_levels`.
const CREATOR_LEVEL: i64 = 100;
/// What a notification of the whole room needs where the event does not say it.
const NOTIFICATION_LEVEL: i64 = 50;

/// The power levels of one state of a room.
#[derive(Clone, Debug)]
pub struct Powers {
    creators: Vec<OwnedUserId>,
    privileged_creators: bool,
    has_event: bool,
    users: BTreeMap<Box<str>, i64>,
    events: BTreeMap<Box<str>, i64>,
    notifications: BTreeMap<Box<str>, i64>,
    levels: [i64; Level::ALL.len()],
}

impl Powers {
    /// Reads them from the room's create event and, if it has one, its power levels event. A value
    /// that is no level counts as missing: such an event is not allowed into a room.
    pub fn of(create: &Pdu, power_levels: Option<&Pdu>) -> Powers {
        Powers {
            creators: creators(create),
            ..Powers::without_creator(create.rules(), power_levels)
        }
    }

    /// As [`Powers::of`], where nobody knows who made the room.
    pub(crate) fn without_creator(rules: &Rules, power_levels: Option<&Pdu>) -> Powers {
        let text = power_levels.map_or("{}", |pdu| pdu.auth_content().get());
        let content = parse_object(text, Form::Strict).unwrap_or_default();
        Powers {
            creators: Vec::new(),
            privileged_creators: rules.privileged_creators(),
            has_event: power_levels.is_some(),
            users: levels(&content, "users", rules),
            events: levels(&content, "events", rules),
            notifications: levels(&content, "notifications", rules),
            levels: Level::ALL.map(|named| {
                let value = content.get(named.field());
                value.and_then(|value| level(value, rules)).unwrap_or(named.default_level())
            }),
        }
    }

    /// The room's creators: one, or in room version 12 several. Empty if the create event does not
    /// name one.
    pub fn creators(&self) -> &[OwnedUserId] {
        &self.creators
    }

    /// A user's power.
    pub fn of_user(&self, user: &UserId) -> Power {
        let is_creator = || self.creators.iter().any(|creator| creator == user);
        if self.privileged_creators && is_creator() {
            return Power::Infinite;
        }
        if !self.has_event && is_creator() {
            return Power::Level(CREATOR_LEVEL);
        }
        let named = self.users.get(user.as_str()).copied();
        Power::Level(named.unwrap_or_else(|| self.level(Level::UsersDefault)))
    }

    /// A named level.
    pub fn level(&self, level: Level) -> i64 {
        self.levels[level as usize]
    }

    /// What sending an event of this type needs.
    pub fn to_send(&self, event_type: &str, is_state: bool) -> i64 {
        let default = if is_state { Level::StateDefault } else { Level::EventsDefault };
        self.events.get(event_type).copied().unwrap_or_else(|| self.level(default))
    }

    /// What a notification of this kind (`room`) needs.
    pub fn to_notify(&self, kind: &str) -> i64 {
        self.notifications.get(kind).copied().unwrap_or(NOTIFICATION_LEVEL)
    }

    /// Whether the user's power reaches a named level.
    pub fn reaches(&self, user: &UserId, level: Level) -> bool {
        self.of_user(user) >= Power::Level(self.level(level))
    }

    /// Whether the user's power suffices to send an event of this type.
    pub fn may_send(&self, user: &UserId, event_type: &str, is_state: bool) -> bool {
        self.of_user(user) >= Power::Level(self.to_send(event_type, is_state))
    }

    /// The users who are named with a level of their own.
    pub fn users(&self) -> impl Iterator<Item = (&str, i64)> {
        self.users.iter().map(|(user, level)| (&**user, *level))
    }
}

/// The creators that a create event names.
pub fn creators(create: &Pdu) -> Vec<OwnedUserId> {
    let rules = create.rules();
    if rules.creator_in_content() {
        return create.content_field::<OwnedUserId>("creator").into_iter().collect();
    }
    let mut creators = vec![create.sender().to_owned()];
    if rules.authorization.additional_room_creators {
        let additional = create.content_field::<Vec<OwnedUserId>>("additional_creators");
        for user in additional.unwrap_or_default() {
            if !creators.contains(&user) {
                creators.push(user);
            }
        }
    }
    creators
}

fn levels(content: &Object<'_>, field: &str, rules: &Rules) -> BTreeMap<Box<str>, i64> {
    let map = content.get(field).and_then(|map| map.as_object());
    map.into_iter()
        .flat_map(Object::iter)
        .filter_map(|(key, value)| Some((key.value().into(), level(value, rules)?)))
        .collect()
}

/// A level: an integer, or before room version 10 a string that holds one.
fn level(value: &Value<'_>, rules: &Rules) -> Option<i64> {
    if rules.authorization.integer_power_levels {
        return value.as_integer();
    }
    match value.as_str() {
        // `parse` takes one sign of either kind and any number of zeros, as specified.
        Some(text) => text.trim().parse().ok(),
        None => value.as_integer(),
    }
}

#[cfg(test)]
#[path = "power_test.rs"]
mod tests;
