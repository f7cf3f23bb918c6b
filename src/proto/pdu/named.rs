//! Types of events as ruma-state-res gets them: to it, two are equal exactly if their texts are.
//!
//! ruma has two names for some types, such as the one before a proposal was merged and the one
//! since, and takes each for the same. The authorization rules know nothing of that: in `events` of
//! the power levels both may stand, each with its own level. So a type that ruma would take for
//! another one gets a mark, by which it becomes one that ruma does not know.
//!
//! Spec: "Authorisation rules" of each room version.

use std::borrow::Cow;

use ruma::events::TimelineEventType;

use crate::json::{Object, Value};

/// Stands before a type that ruma would not leave as it is.
const MARK: &str = "as written: ";

/// The type with this text.
pub(crate) fn timeline_type(text: &str) -> TimelineEventType {
    TimelineEventType::from(&*marked(text))
}

fn marked(text: &str) -> Cow<'_, str> {
    // What begins with the mark gets another one, so that it is nobody else's type either.
    if text.starts_with(MARK) || TimelineEventType::from(text).to_string() != text {
        return Cow::Owned(format!("{MARK}{text}"));
    }
    Cow::Borrowed(text)
}

/// The content of power levels with such types in `events`; `None` if it names no type that has a
/// mark. As strict canonical JSON, see [`Value::write_tame`].
pub(super) fn content(content: &Object<'_>, event_type: &str) -> Option<Box<str>> {
    if event_type != "m.room.power_levels" {
        return None;
    }
    let events = content.get("events")?.as_object()?;
    if events.iter().all(|(key, _)| matches!(marked(&key.value()), Cow::Borrowed(_))) {
        return None;
    }
    let mut named = Object::default();
    for (key, level) in events.iter() {
        named.insert(&marked(&key.value()), level.clone());
    }
    let mut content = content.clone();
    content.insert("events", Value::Object(named));
    let mut text = String::new();
    Value::Object(content).write_tame(&mut text);
    Some(text.into())
}
