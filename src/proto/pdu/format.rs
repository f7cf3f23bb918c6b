//! The event format: which fields an event must have, of which type, and how large they may be.
//!
//! Spec: the "Event format" of each room version; client-server API, "Size limits".

use std::borrow::Cow;

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::named;
use crate::{
    json::{JsonError, Object, Value},
    rules::Rules,
    size::{MAX_AUTH_EVENTS, MAX_ID_BYTES, MAX_PREV_EVENTS},
    visibility::Membership,
};

/// Why a text is no event of its room version: it is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is no JSON of the room version's form.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field that must be there is missing.
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    /// A field has another type or format than specified.
    #[error("the event's `{0}` is invalid")]
    Invalid(&'static str),
    /// A field is longer than [`crate::size`] allows.
    #[error("the event's `{0}` is too long")]
    TooLong(&'static str),
    /// The whole event has more than [`crate::size::MAX_EVENT_BYTES`] bytes.
    #[error("the event is larger than 65536 bytes")]
    TooLarge,
}

/// The fields of an event, checked.
#[derive(Clone)]
pub(super) struct Fields {
    /// Only in room versions 1 and 2.
    pub event_id: Option<OwnedEventId>,
    /// Missing only in the create events of room version 12.
    pub room_id: Option<OwnedRoomId>,
    pub sender: OwnedUserId,
    pub event_type: Box<str>,
    pub state_key: Option<Box<str>>,
    pub origin_server_ts: i64,
    pub depth: u64,
    pub prev_events: Box<[OwnedEventId]>,
    pub auth_events: Box<[OwnedEventId]>,
    pub redacts: Option<OwnedEventId>,
    pub membership: Option<Membership>,
    /// The content as the authorization rules see it, where that is not its own text.
    pub tame_content: Option<Box<str>>,
    /// The content as ruma sees it, where that is neither of them.
    pub named_content: Option<Box<str>>,
}

impl Fields {
    pub(super) fn read(event: &Object<'_>, rules: &Rules) -> Result<Fields, FormatError> {
        let event_type: Box<str> = string(event, "type")?.into();
        let content = match event.get("content") {
            Some(Value::Object(content)) => content,
            Some(_) => return Err(FormatError::Invalid("content")),
            None => return Err(FormatError::Missing("content")),
        };
        for object in ["hashes", "signatures"] {
            if event.get(object).is_some_and(|value| value.as_object().is_none()) {
                return Err(FormatError::Invalid(object));
            }
        }
        let state_key = optional_string(event, "state_key")?.map(Into::into);
        Ok(Fields {
            event_id: if rules.has_event_id_field() { Some(event_id(event)?) } else { None },
            room_id: room_id(event, &event_type, rules)?,
            sender: UserId::parse(string(event, "sender")?)
                .map_err(|_| FormatError::Invalid("sender"))?,
            state_key,
            origin_server_ts: origin_server_ts(event)?,
            depth: depth(event)?,
            prev_events: references(event, "prev_events", MAX_PREV_EVENTS, rules)?,
            auth_events: references(event, "auth_events", MAX_AUTH_EVENTS, rules)?,
            redacts: redacts(event, content, &event_type, rules),
            membership: membership(content, &event_type),
            tame_content: tame(event.get("content")),
            named_content: named::content(content, &event_type),
            event_type,
        })
    }
}

/// Other servers' events bear a content hash. Whether it is right decides whether the event is
/// redacted; without one it is none of its format.
pub(super) fn check_hash(event: &Object<'_>) -> Result<(), FormatError> {
    let hashes = event.get("hashes").ok_or(FormatError::Missing("hashes"))?;
    let hash = hashes.as_object().and_then(|hashes| hashes.get("sha256"));
    hash.and_then(Value::as_str).map(|_| ()).ok_or(FormatError::Invalid("hashes"))
}

fn optional_string<'a>(
    event: &'a Object<'_>,
    field: &'static str,
) -> Result<Option<Cow<'a, str>>, FormatError> {
    let Some(value) = event.get(field) else { return Ok(None) };
    let text = value.as_str().ok_or(FormatError::Invalid(field))?;
    if text.len() > MAX_ID_BYTES {
        return Err(FormatError::TooLong(field));
    }
    Ok(Some(text))
}

fn string<'a>(event: &'a Object<'_>, field: &'static str) -> Result<Cow<'a, str>, FormatError> {
    optional_string(event, field)?.ok_or(FormatError::Missing(field))
}

fn event_id(event: &Object<'_>) -> Result<OwnedEventId, FormatError> {
    let id =
        EventId::parse(string(event, "event_id")?).map_err(|_| FormatError::Invalid("event_id"))?;
    // Whose signature is needed, is told by the id.
    if id.server_name().is_none() {
        return Err(FormatError::Invalid("event_id"));
    }
    Ok(id)
}

fn room_id(
    event: &Object<'_>,
    event_type: &str,
    rules: &Rules,
) -> Result<Option<OwnedRoomId>, FormatError> {
    let is_create = event_type == "m.room.create";
    if is_create && !rules.event_format.require_room_create_room_id {
        // The room's id is made of this event, which therefore cannot name it.
        return if event.get("room_id").is_some() {
            Err(FormatError::Invalid("room_id"))
        } else {
            Ok(None)
        };
    }
    RoomId::parse(string(event, "room_id")?).map(Some).map_err(|_| FormatError::Invalid("room_id"))
}

fn origin_server_ts(event: &Object<'_>) -> Result<i64, FormatError> {
    match event.get("origin_server_ts") {
        Some(Value::Integer(time)) => Ok(*time),
        Some(value @ Value::Number(_)) => {
            let mut text = String::new();
            value.write_tame(&mut text);
            text.parse().map_err(|_| FormatError::Invalid("origin_server_ts"))
        }
        Some(_) => Err(FormatError::Invalid("origin_server_ts")),
        None => Err(FormatError::Missing("origin_server_ts")),
    }
}

fn depth(event: &Object<'_>) -> Result<u64, FormatError> {
    let depth = event.get("depth").ok_or(FormatError::Missing("depth"))?;
    let depth = depth.as_integer().and_then(|depth| u64::try_from(depth).ok());
    depth.ok_or(FormatError::Invalid("depth"))
}

/// The ids of other events, of which room versions 1 and 2 put each into a pair with its hash.
fn references(
    event: &Object<'_>,
    field: &'static str,
    limit: usize,
    rules: &Rules,
) -> Result<Box<[OwnedEventId]>, FormatError> {
    let values = match event.get(field) {
        Some(Value::Array(values)) => values,
        Some(_) => return Err(FormatError::Invalid(field)),
        None => return Err(FormatError::Missing(field)),
    };
    if values.len() > limit {
        return Err(FormatError::TooLong(field));
    }
    let read = |value: &Value<'_>| {
        let id = if rules.references_carry_hashes() {
            match value.as_array()? {
                [id, Value::Object(_)] => id,
                _ => return None,
            }
        } else {
            value
        };
        let id = id.as_str().filter(|id| id.len() <= MAX_ID_BYTES)?;
        EventId::parse(id).ok()
    };
    values.iter().map(|value| read(value).ok_or(FormatError::Invalid(field))).collect()
}

/// A redaction that names no event, or none with a valid id, redacts nothing.
fn redacts(
    event: &Object<'_>,
    content: &Object<'_>,
    event_type: &str,
    rules: &Rules,
) -> Option<OwnedEventId> {
    if event_type != "m.room.redaction" {
        return None;
    }
    let holder = if rules.redacts_in_content() { content } else { event };
    EventId::parse(holder.get("redacts")?.as_str()?).ok()
}

fn membership(content: &Object<'_>, event_type: &str) -> Option<Membership> {
    if event_type != "m.room.member" {
        return None;
    }
    Membership::parse(&content.get("membership")?.as_str()?)
}

fn tame(content: Option<&Value<'_>>) -> Option<Box<str>> {
    let content = content.filter(|content| content.is_wild())?;
    let mut text = String::new();
    content.write_tame(&mut text);
    Some(text.into())
}
