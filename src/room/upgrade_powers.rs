//! The power levels of a room that replaces another one.
//!
//! The upgrading user must be able to send all that the new room begins with, also where the old
//! room's levels would not let them; so they may be raised for that time. Creators who stand above
//! every number must not be named.
//!
//! Spec: client-server API, "Room Upgrades"; room version 12, "Authorization rules".

use proto::rules::Rules;
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};

use crate::RoomView;

/// What a creator has at the least where creators are named.
const CREATOR_LEVEL: i64 = 100;
/// What silenced users lack at the least.
const SILENT_LEVEL: i64 = 50;

/// The levels before and after the new room is complete.
pub(crate) struct Powers {
    /// With which it is made.
    pub(crate) initial: Value,
    /// Those to be set in the end, if they are others.
    pub(crate) lasting: Option<Value>,
}

impl Powers {
    /// From the old room's levels.
    pub(crate) fn of(
        old: &Map<String, Value>,
        view: &RoomView,
        (sender, further): (&UserId, &[OwnedUserId]),
        rules: &Rules,
    ) -> Self {
        let mut levels = Value::Object(old.clone());
        make_integers(&mut levels);
        let Value::Object(mut levels) = levels else { unreachable!("it was made as an object") };
        let mut users = match levels.remove("users") {
            Some(Value::Object(users)) => users,
            _ => Map::new(),
        };
        if rules.ruma.authorization.explicitly_privilege_room_creators {
            users.remove(sender.as_str());
            for creator in further {
                users.remove(creator.as_str());
            }
            levels.insert("users".to_owned(), users.into());
            return Self { initial: levels.into(), lasting: None };
        }
        let needed = needed(&levels);
        // Who stood above every number still can do all that anybody could.
        let greatest = users.values().filter_map(Value::as_i64).max().unwrap_or(0);
        for creator in unnamed_creators(view) {
            users.insert(creator.to_string(), CREATOR_LEVEL.max(needed).max(greatest).into());
        }
        let sender = sender.as_str();
        let default = level(&levels, "users_default").unwrap_or(0);
        let own = users.get(sender).and_then(Value::as_i64).unwrap_or(default);
        levels.insert("users".to_owned(), users.clone().into());
        let lasting = Value::Object(levels.clone());
        if own >= needed {
            return Self { initial: lasting, lasting: None };
        }
        users.insert(sender.to_owned(), needed.into());
        levels.insert("users".to_owned(), users.into());
        Self { initial: levels.into(), lasting: Some(lasting) }
    }

    /// The level that ordinary users of a silenced room do not have.
    pub(crate) fn silent(old: &Map<String, Value>) -> i64 {
        let default = old.get("users_default").and_then(integer).unwrap_or(0);
        default.saturating_add(1).max(SILENT_LEVEL)
    }
}

/// Creators whose power is not written in the levels, since they stand above them.
fn unnamed_creators(view: &RoomView) -> &[OwnedUserId] {
    let privileged = view.rules().ruma.authorization.explicitly_privilege_room_creators;
    if privileged { view.powers().creators() } else { &[] }
}

/// What sending every kind of state and banning takes.
fn needed(levels: &Map<String, Value>) -> i64 {
    let named = ["state_default", "events_default", "ban", "kick", "invite"];
    let named = named.into_iter().filter_map(|key| level(levels, key));
    let events = levels.get("events").and_then(Value::as_object);
    let events = events.into_iter().flat_map(Map::values).filter_map(Value::as_i64);
    named.chain(events).max().unwrap_or(0).max(SILENT_LEVEL)
}

fn level(levels: &Map<String, Value>, key: &str) -> Option<i64> {
    levels.get(key).and_then(Value::as_i64)
}

/// Writes every level as an integer: before room version 10 they could be texts.
fn make_integers(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(make_integers),
        other => {
            if let Some(number) = integer(other) {
                *other = number.into();
            }
        }
    }
}

/// A level, written as a number or as a text.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
