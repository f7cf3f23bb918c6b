//! Events and records for the tests of this crate's parts.

use std::sync::Arc;

use proto::{
    number::{EventNumber, Position, RoomNumber, UserNumber},
    pdu::Pdu,
    rules::Rules,
};
use room::{Event, Outcome, Place};
use serde_json::{Value, json};
use store::{
    Change, Record,
    room::{event::Body, keys::member_key},
};

/// An event with these fields besides those that every event has.
pub(crate) fn event(number: i64, position: i64, fields: &Value) -> Arc<Event> {
    let mut whole = json!({
        "auth_events": [],
        "prev_events": [],
        "depth": 1,
        "hashes": {"sha256": "AAAA"},
        "origin_server_ts": 1_700_000_000_000_u64,
        "room_id": "!room:example.org",
        "sender": "@alice:example.org",
        "signatures": {},
        "type": "m.room.message",
        "content": {},
    });
    let fields = fields.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(fields);
    let rules = Rules::of("11").unwrap();
    let id = format!("$event{number}").try_into().unwrap();
    let pdu = Pdu::load(whole.to_string(), id, rules).unwrap();
    Arc::new(Event {
        room: RoomNumber(1),
        outcome: Outcome::Accepted,
        key: None,
        group: None,
        place: Some(Place { depth: position, position }),
        replaces: None,
        body: Arc::new(Body::new(EventNumber(number), Arc::new(pdu))),
    })
}

/// A timeline row.
pub(crate) fn timeline(position: u64, room: i64) -> Arc<Record> {
    let number = i64::try_from(position).unwrap();
    let event = event(number, number, &json!({"content": {"body": "hello"}}));
    let change = Change::Timeline { room: RoomNumber(room), event, txn: None };
    Arc::new(Record { position: Position(position), change })
}

/// A user's membership becomes this one.
pub(crate) fn membership(position: u64, room: i64, user: i64, membership: &str) -> Arc<Record> {
    let number = i64::try_from(position).unwrap();
    let fields = json!({
        "type": "m.room.member",
        "state_key": format!("@user{user}:example.org"),
        "content": {"membership": membership},
    });
    let change = Change::State {
        room: RoomNumber(room),
        key: member_key(UserNumber(user)),
        old: None,
        new: Some(EventNumber(number)),
        event: Some(event(number, number, &fields)),
    };
    Arc::new(Record { position: Position(position), change })
}
