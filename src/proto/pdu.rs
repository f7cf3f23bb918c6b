//! One event: its exact JSON and the fields that the server reads all the time.
//!
//! Invariant: the JSON is in canonical form, has the event format of its room version, and the fields say the same as
//! the JSON. Immutable, so it is shared by reference count.
//! Spec: server-server API, "PDUs"; the "Event format" of each room version.

use std::{borrow::Cow, ops::Range};

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use ruma::events::TimelineEventType;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::rules::Rules;

mod format;

pub use self::format::FormatError;

/// An event. See the module.
#[derive(Clone)]
pub struct Pdu {
    rules: &'static Rules,
    json: Box<str>,
    content: Range<usize>,
    lenient_content: Option<Box<str>>,
    event_id: OwnedEventId,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    event_type: TimelineEventType,
    state_key: Option<Box<str>>,
    origin_server_ts: i64,
    depth: u64,
    prev_events: Box<[OwnedEventId]>,
    auth_events: Box<[OwnedEventId]>,
    redacts: Option<OwnedEventId>,
}

impl Pdu {
    /// Reads an event as another server sent it: checks the room version's event format and every size limit, brings it
    /// into canonical form and computes its id. `unsigned` is dropped: what it claims is the sender's server's own
    /// business, except for what an invite carries in `invite_room_state`, which is read before.
    pub fn parse(json: &str, rules: &'static Rules) -> Result<Pdu, FormatError> {
        todo!()
    }

    /// Reads an event that this server stored earlier, by what [`Pdu::json`] and [`Pdu::event_id`] gave then. Nothing is
    /// hashed or checked again, except that it must parse.
    pub fn load(
        json: Box<str>,
        event_id: OwnedEventId,
        rules: &'static Rules,
    ) -> Result<Pdu, FormatError> {
        todo!()
    }

    /// The rules of the room's version.
    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    /// The event in federation format: canonical JSON, hashes and signatures included, without `unsigned`.
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

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        &self.sender
    }

    /// Its type.
    pub fn event_type(&self) -> &TimelineEventType {
        &self.event_type
    }

    /// Its state key: present exactly for state events.
    pub fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    /// Whether it is a state event.
    pub fn is_state(&self) -> bool {
        self.state_key.is_some()
    }

    /// Whether it is the state event of this type and state key.
    pub fn is_state_of(&self, event_type: &str, state_key: &str) -> bool {
        todo!()
    }

    /// The content's exact JSON text, an object.
    pub fn content(&self) -> &str {
        &self.json[self.content.clone()]
    }

    /// The content as a raw value, to be put into replies without another serialisation.
    pub fn content_raw(&self) -> &RawValue {
        todo!()
    }

    /// One field of the content, if it is there and has that type.
    pub fn content_field<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        todo!()
    }

    /// The `membership` of an `m.room.member` event; `None` for any other.
    pub fn membership(&self) -> Option<Cow<'_, str>> {
        todo!()
    }

    /// When its sender's server says it was sent, in milliseconds since the epoch. A claim beyond 64 bits is cut.
    pub fn origin_server_ts(&self) -> i64 {
        self.origin_server_ts
    }

    /// The depth that it claims, cut to [`crate::size::MAX_DEPTH`].
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// The events that its sender's server saw last.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.prev_events
    }

    /// The events that allow it.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.auth_events
    }

    /// The event that a redaction names, wherever the room version keeps it; `None` for any other type.
    pub fn redacts(&self) -> Option<&EventId> {
        self.redacts.as_deref()
    }

    /// The room's create event's id, where the room's id tells it (room version 12).
    pub fn create_event_id(&self) -> Option<OwnedEventId> {
        todo!()
    }

    /// The event after redaction, with the same id: what is kept of one whose content hash is wrong, or that somebody
    /// redacted.
    pub fn redacted(&self) -> Pdu {
        todo!()
    }
}
