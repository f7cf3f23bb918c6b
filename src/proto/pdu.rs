//! One event: its exact JSON and the fields that the server reads all the time.
//!
//! Invariant: the JSON is in canonical form, has the event format of its room version, and the
//! fields say the same as the JSON. Immutable, so it is shared by reference count. Spec:
//! server-server API, "PDUs"; the "Event format" of each room version.

use std::ops::Range;

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId, UInt, UserId,
    events::TimelineEventType, state_res::Event,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    hash::reference_hash,
    json::{Object, parse_object},
    redacted::write_redacted,
    rules::Rules,
    size::MAX_EVENT_BYTES,
    visibility::Membership,
};

mod format;
mod named;

use self::format::Fields;
pub use self::format::FormatError;
pub(crate) use self::named::timeline_type;

/// An event. See the module.
#[derive(Clone)]
pub struct Pdu {
    rules: &'static Rules,
    json: Box<str>,
    content: Range<usize>,
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    timeline_type: TimelineEventType,
    fields: Box<Fields>,
}

impl Pdu {
    /// Reads an event as another server sent it: checks the room version's event format and every
    /// size limit, brings it into canonical form and computes its id. `unsigned` is dropped first:
    /// nobody has signed what it claims.
    pub fn parse(json: &str, rules: &'static Rules) -> Result<Pdu, FormatError> {
        let mut object = parse_object(json, rules.json)?;
        object.remove("unsigned");
        format::check_hash(&object)?;
        let pdu = Pdu::of(&object, rules, None)?;
        if pdu.json.len() > MAX_EVENT_BYTES {
            return Err(FormatError::TooLarge);
        }
        Ok(pdu)
    }

    /// Reads an event that this server stored earlier, by what [`Pdu::json`] and [`Pdu::event_id`]
    /// gave then. Nothing is hashed again.
    pub fn load(
        json: impl AsRef<str>,
        event_id: OwnedEventId,
        rules: &'static Rules,
    ) -> Result<Pdu, FormatError> {
        Pdu::of(&parse_object(json.as_ref(), rules.json)?, rules, Some(event_id))
    }

    /// Makes an event of an object; its id is computed if it is not handed in.
    pub(crate) fn of(
        object: &Object<'_>,
        rules: &'static Rules,
        event_id: Option<OwnedEventId>,
    ) -> Result<Pdu, FormatError> {
        let fields = Fields::read(object, rules)?;
        let event_id = match event_id.or_else(|| fields.event_id.clone()) {
            Some(event_id) => event_id,
            None => EventId::parse(format!("${}", reference_hash(object, rules)))
                .map_err(|_| FormatError::Invalid("event_id"))?,
        };
        let mut json = String::with_capacity(1024);
        let mut content = 0..0;
        object.write_members(
            &mut json,
            |_| true,
            |key, value, out| {
                let start = out.len();
                value.write(out);
                if key == "content" {
                    content = start..out.len();
                }
            },
        );
        Pdu::assemble(Parts { rules, json, content, event_id, fields })
    }

    /// Makes an event of text that is in canonical form already and whose content stands there.
    pub(crate) fn of_canonical(
        json: String,
        content: Range<usize>,
        event_id: OwnedEventId,
        rules: &'static Rules,
    ) -> Result<Pdu, FormatError> {
        let fields = Fields::read(&parse_object(&json, rules.json)?, rules)?;
        Pdu::assemble(Parts { rules, json, content, event_id, fields })
    }

    fn assemble(parts: Parts) -> Result<Pdu, FormatError> {
        let Parts { rules, json, content, event_id, fields } = parts;
        let room_id = match &fields.room_id {
            Some(room_id) => room_id.clone(),
            None => RoomId::parse(format!("!{}", &event_id.as_str()[1..]))
                .map_err(|_| FormatError::Invalid("room_id"))?,
        };
        let timeline_type = timeline_type(&fields.event_type);
        Ok(Pdu {
            rules,
            json: json.into(),
            content,
            event_id,
            room_id,
            timeline_type,
            fields: Box::new(fields),
        })
    }

    /// The rules of the room's version.
    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// The event in federation format: canonical JSON, hashes and signatures included, without
    /// `unsigned`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The event's id: computed from the event in room versions 3 and later.
    pub fn event_id(&self) -> &EventId {
        &self.event_id
    }

    /// The room's id; of a create event in room version 12 it is computed from the event's id.
    pub fn room_id(&self) -> &RoomId {
        &self.room_id
    }

    /// The reference hash in unpadded Base64: what room versions 1 and 2 put beside the id, and
    /// what the id is made of in later ones.
    pub fn reference_hash(&self) -> String {
        parse_object(&self.json, self.rules.json)
            .map(|object| reference_hash(&object, self.rules))
            .unwrap_or_default()
    }

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        &self.fields.sender
    }

    /// Its type as the authorization rules are given it: see [`timeline_type`].
    pub(crate) fn event_type(&self) -> &TimelineEventType {
        &self.timeline_type
    }

    /// Its type as text.
    pub fn type_str(&self) -> &str {
        &self.fields.event_type
    }

    /// Its state key: present exactly for state events.
    pub fn state_key(&self) -> Option<&str> {
        self.fields.state_key.as_deref()
    }

    /// Whether it is a state event.
    pub fn is_state(&self) -> bool {
        self.fields.state_key.is_some()
    }

    /// Whether it is the state event of this type and state key.
    pub fn is_state_of(&self, event_type: &str, state_key: &str) -> bool {
        self.type_str() == event_type && self.state_key() == Some(state_key)
    }

    /// The content's exact JSON text, an object.
    pub fn content(&self) -> &str {
        &self.json[self.content.clone()]
    }

    /// The content as a raw value, to be put into replies without another serialisation.
    pub fn content_raw(&self) -> &RawValue {
        raw(self.content())
    }

    /// The whole content as a type; an error says what does not fit.
    pub fn content_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.content())
    }

    /// The content as the authorization rules read it: the same, except that in room versions 1 to
    /// 5 floats are cut to integers and lone surrogates replaced, so that it is strict canonical
    /// JSON.
    pub fn auth_content(&self) -> &RawValue {
        raw(self.fields.tame_content.as_deref().unwrap_or_else(|| self.content()))
    }

    /// One field of the content, if it is there and has that type.
    pub fn content_field<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        let content = parse_object(self.content(), self.rules.json).ok()?;
        let mut text = String::new();
        content.get(field)?.write(&mut text);
        serde_json::from_str(&text).ok()
    }

    /// The `membership` of an `m.room.member` event; `None` for any other, and for one that is not
    /// specified.
    pub fn membership(&self) -> Option<Membership> {
        self.fields.membership
    }

    /// When its sender's server says it was sent, in milliseconds since the epoch. Nobody has
    /// checked that: it may be negative or far in the future.
    pub fn origin_server_ts(&self) -> i64 {
        self.fields.origin_server_ts
    }

    /// The depth that it claims: in room versions 1 to 5 up to 2⁶³−1, later up to
    /// [`crate::size::MAX_DEPTH`].
    pub fn depth(&self) -> u64 {
        self.fields.depth
    }

    /// The events that its sender's server saw last.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.fields.prev_events
    }

    /// The events that allow it.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.fields.auth_events
    }

    /// The event that a redaction names, wherever the room version keeps it; `None` for any other
    /// type.
    pub fn redacts(&self) -> Option<&EventId> {
        self.fields.redacts.as_deref()
    }

    /// The id of the room's create event, where the room's id tells it (room version 12).
    pub fn create_event_id(&self) -> Option<OwnedEventId> {
        if !self.rules.room_id_is_create_event() {
            return None;
        }
        EventId::parse(format!("${}", &self.room_id.as_str()[1..])).ok()
    }

    /// The event after redaction, with the same id: what is kept of one whose content hash is
    /// wrong, or that somebody redacted.
    ///
    /// # Panics
    /// Never: redaction keeps every field that an event must have.
    #[must_use]
    pub fn redacted(&self) -> Pdu {
        self.redacted_json()
            .and_then(|json| Pdu::load(json, self.event_id.clone(), self.rules).ok())
            .expect("redaction keeps every field that an event must have")
    }

    /// The redacted form of the JSON, signatures included.
    fn redacted_json(&self) -> Option<String> {
        let event = parse_object(&self.json, self.rules.json).ok()?;
        let mut out = String::with_capacity(512);
        write_redacted(&event, self.rules, true, &mut out);
        Some(out)
    }
}

/// What an event is made of.
struct Parts {
    rules: &'static Rules,
    json: String,
    content: Range<usize>,
    event_id: OwnedEventId,
    fields: Fields,
}

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("it was written by our own canonical JSON")
}

impl std::fmt::Debug for Pdu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pdu")
            .field("event_id", &self.event_id)
            .field("type", &self.fields.event_type)
            .field("state_key", &self.fields.state_key)
            .field("sender", &self.fields.sender)
            .finish_non_exhaustive()
    }
}

/// The event as ruma-state-res looks at it; the content is [`Pdu::auth_content`], with the types
/// that it names marked where ruma would take one for another.
impl Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        self.fields.room_id.as_deref()
    }

    fn sender(&self) -> &UserId {
        &self.fields.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        let time = u64::try_from(self.fields.origin_server_ts).unwrap_or(0);
        MilliSecondsSinceUnixEpoch(UInt::try_from(time).unwrap_or(UInt::MAX))
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.timeline_type
    }

    fn content(&self) -> &RawValue {
        self.fields.named_content.as_deref().map_or_else(|| self.auth_content(), raw)
    }

    fn state_key(&self) -> Option<&str> {
        self.fields.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.fields.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.fields.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.fields.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        false
    }
}

#[cfg(test)]
#[path = "pdu_test.rs"]
mod tests;
