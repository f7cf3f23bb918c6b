//! An event as every reader shares it: its number, its form for clients serialised once, and what
//! the store knows of it.
//!
//! Invariant: there is at most one [`Body`] of an event in memory (see
//! [`super::cache::EventCache`]), and it is told of a redaction when that is committed; so whoever
//! holds an event, the log included, serves it redacted from then on.

use std::sync::{Arc, OnceLock};

use proto::{
    client_event::{Splice, client_body, splice},
    number::{EventNumber, RoomNumber, StateGroup, StateKeyNumber},
    pdu::Pdu,
};
use ruma::EventId;
use serde_json::value::RawValue;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the timeline, or on its way there.
    Accepted,
    /// Stored without the state around it: known only because another event names it.
    Outlier,
    /// Its auth events, or the state before it, do not allow it.
    Rejected,
    /// Allowed where it stands, but not by the current state when it came.
    SoftFailed,
}

impl Outcome {
    /// As it is stored.
    pub fn code(self) -> i64 {
        match self {
            Self::Accepted => 0,
            Self::Outlier => 1,
            Self::Rejected => 2,
            Self::SoftFailed => 3,
        }
    }

    /// From what is stored.
    pub fn from_code(code: i64) -> Option<Self> {
        [Self::Accepted, Self::Outlier, Self::Rejected, Self::SoftFailed]
            .into_iter()
            .find(|outcome| outcome.code() == code)
    }
}

/// Where an event stands in its room's timeline order. Pagination goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// One more than the deepest known previous event; a claimed depth counts only where none is
    /// known.
    pub depth: i64,
    /// The position of the timeline row; negative for what was put in as backfill.
    pub position: i64,
}

/// The transaction id by which a client of ours sent an event; the sending device gets it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTxn {
    /// The device.
    pub device: Box<str>,
    /// The client's transaction id.
    pub txn_id: Box<str>,
}

/// An event of a room.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its room.
    pub room: RoomNumber,
    /// What became of it.
    pub outcome: Outcome,
    /// The number of its type and state key, if it is a state event.
    pub key: Option<StateKeyNumber>,
    /// The state after it, unless it is an outlier.
    pub group: Option<StateGroup>,
    /// Its place in the timeline, if it has one.
    pub place: Option<Place>,
    /// The state event that it replaced in the current state when it was appended.
    pub replaces: Option<Arc<Body>>,
    /// The event itself.
    pub body: Arc<Body>,
}

/// An event's content, shared by all readers.
pub struct Body {
    number: EventNumber,
    whole: Form,
    redaction: OnceLock<Redaction>,
}

struct Form {
    pdu: Arc<Pdu>,
    client: OnceLock<Box<str>>,
}

struct Redaction {
    form: Form,
    because: Option<Arc<Body>>,
}

impl Form {
    fn new(pdu: Arc<Pdu>) -> Self {
        Self { pdu, client: OnceLock::new() }
    }
}

/// What one reader gets besides the shared part of an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a> {
    /// Whether `room_id` is to be there: everywhere except in `/sync`.
    pub with_room_id: bool,
    /// The time now in milliseconds, for `age`.
    pub now_ms: Option<u64>,
    /// The transaction id, if this reader's device sent the event.
    pub transaction_id: Option<&'a str>,
    /// The reader's membership when the event was sent.
    pub membership: Option<&'a str>,
}

impl Body {
    /// An event just made or received.
    pub fn new(number: EventNumber, pdu: Arc<Pdu>) -> Self {
        Self { number, whole: Form::new(pdu), redaction: OnceLock::new() }
    }

    /// An event as it is stored after its redaction.
    pub fn new_redacted(number: EventNumber, pdu: Arc<Pdu>, because: Option<Arc<Body>>) -> Self {
        let body = Self::new(number, Arc::clone(&pdu));
        let redaction = Redaction { form: Form::new(pdu), because };
        // A fresh lock is empty.
        let _ = body.redaction.set(redaction);
        body
    }

    /// Its number in the store.
    pub fn number(&self) -> EventNumber {
        self.number
    }

    /// The event in its present form: redacted from the moment on when a redaction is committed.
    pub fn pdu(&self) -> &Arc<Pdu> {
        &self.form().pdu
    }

    /// Its id.
    pub fn event_id(&self) -> &EventId {
        self.whole.pdu.event_id()
    }

    /// Whether it has been redacted.
    pub fn is_redacted(&self) -> bool {
        self.redaction.get().is_some()
    }

    /// The redaction that applies to it.
    pub fn redacted_because(&self) -> Option<&Arc<Body>> {
        self.redaction.get()?.because.as_ref()
    }

    /// Applies a committed redaction. The first one counts.
    pub fn redact(&self, redacted: Arc<Pdu>, because: Arc<Body>) {
        let _ = self.redaction.set(Redaction { form: Form::new(redacted), because: Some(because) });
    }

    /// The client format without `room_id` and `unsigned`, serialised once for all readers.
    pub fn client_body(&self) -> &str {
        let form = self.form();
        form.client.get_or_init(|| client_body(&form.pdu))
    }

    /// About how many bytes it keeps in memory.
    pub fn weight(&self) -> usize {
        2 * self.whole.pdu.json().len() + 512
    }

    fn form(&self) -> &Form {
        self.redaction.get().map_or(&self.whole, |redaction| &redaction.form)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("number", &self.number)
            .field("event_id", &self.event_id())
            .finish_non_exhaustive()
    }
}

impl Event {
    /// Its number in the store.
    pub fn number(&self) -> EventNumber {
        self.body.number
    }

    /// The event in its present form, redacted if it has been.
    pub fn pdu(&self) -> &Arc<Pdu> {
        self.body.pdu()
    }

    /// Its id.
    pub fn event_id(&self) -> &EventId {
        self.body.event_id()
    }

    /// About how many bytes it keeps in memory.
    pub fn weight(&self) -> usize {
        self.body.weight() + size_of::<Self>()
    }

    /// Writes the event for one reader: the shared client body, with the reader's `unsigned`
    /// spliced in.
    pub fn write(&self, reader: Reader<'_>, out: &mut String) {
        let unsigned = self.unsigned(reader);
        let pdu = self.pdu();
        let add = Splice {
            room_id: reader.with_room_id.then(|| pdu.room_id()),
            unsigned: (unsigned.len() > 2).then_some(unsigned.as_str()),
        };
        splice(self.body.client_body(), add, out);
    }

    /// The event for one reader, as [`Event::write`] writes it.
    ///
    /// # Panics
    /// Never: a client body with raw parts spliced in is JSON.
    pub fn to_client(&self, reader: Reader<'_>) -> Box<RawValue> {
        let mut text = String::with_capacity(self.body.client_body().len() + 256);
        self.write(reader, &mut text);
        RawValue::from_string(text).expect("a client body with raw parts spliced in is JSON")
    }

    /// The text of the `unsigned` object, `{}` when it is empty.
    fn unsigned(&self, reader: Reader<'_>) -> String {
        let mut unsigned = Object::new();
        if let Some(now_ms) = reader.now_ms {
            let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
            unsigned.raw("age", &now.saturating_sub(self.pdu().origin_server_ts()).to_string());
        }
        if let Some(membership) = reader.membership {
            unsigned.text("membership", membership);
        }
        if let Some(replaced) = &self.replaces {
            unsigned.raw("prev_content", replaced.pdu().content());
            unsigned.text("prev_sender", replaced.pdu().sender().as_str());
            unsigned.text("replaces_state", replaced.event_id().as_str());
        }
        if let Some(because) = self.body.redacted_because() {
            let mut text = String::new();
            let add = Splice { room_id: Some(because.pdu().room_id()), unsigned: None };
            splice(because.client_body(), add, &mut text);
            unsigned.raw("redacted_because", &text);
        }
        if let Some(transaction_id) = reader.transaction_id {
            unsigned.text("transaction_id", transaction_id);
        }
        unsigned.end()
    }
}

/// Writes a small JSON object.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn raw(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        self.0.push_str(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        let quoted = serde_json::Value::from(value).to_string();
        self.raw(key, &quoted);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
