//! Tests of event filters.

use serde_json::json;

use super::*;
use crate::test_room::{ALICE, BOB, Maker, Send, State, message};

#[test]
fn patterns() {
    let cases = [
        ("m.room.message", "m.room.message", true),
        ("m.room.message", "m.room.messages", false),
        ("*", "anything", true),
        ("*", "", true),
        ("m.*", "m.room", true),
        ("m.*", "im.room", false),
        ("*.message", "m.room.message", true),
        ("*.message", "m.room.message.x", false),
        ("m.*.message", "m.room.message", true),
        ("m.*.message", "m.message", false),
        ("m.**.message", "m.room.message", true),
        ("*room*", "m.room.message", true),
        ("*room*", "m.rom.message", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("ab*ba", "aba", false),
        ("", "", true),
        ("", "x", false),
        // A dot and other characters stand for themselves.
        ("m.room", "mxroom", false),
        ("m?room", "m.room", false),
    ];
    for (pattern, event_type, expected) in cases {
        assert_eq!(type_matches(pattern, event_type), expected, "{pattern} {event_type}");
    }
}

fn pdu(send: Send<'_>) -> Pdu {
    let maker = Maker::new("10");
    let draft = Maker::draft(send);
    maker.sign(&draft, &maker.placement(&draft, &[], &State::new())).pdu().clone()
}

#[test]
fn lists() {
    let pdu = pdu(message(ALICE));
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let users = |list: &[&str]| list.iter().map(|id| (*id).try_into().unwrap()).collect::<Vec<_>>();
    let rooms = |list: &[&str]| list.iter().map(|id| (*id).try_into().unwrap()).collect::<Vec<_>>();
    let (message, other, none) = (strings(&["m.room.*"]), strings(&["m.other"]), strings(&[]));
    let (alice, bob): (Vec<OwnedUserId>, Vec<OwnedUserId>) = (users(&[ALICE]), users(&[BOB]));
    let here: Vec<OwnedRoomId> = rooms(&["!room:a.example"]);
    let there: Vec<OwnedRoomId> = rooms(&["!other:a.example"]);
    let all = EventFilter::default();
    assert!(all.passes(&pdu));
    assert!(EventFilter { types: Some(&message), ..all }.passes(&pdu));
    assert!(!EventFilter { types: Some(&other), ..all }.passes(&pdu));
    assert!(!EventFilter { types: Some(&none), ..all }.passes(&pdu));
    assert!(!EventFilter { types: Some(&message), not_types: &message, ..all }.passes(&pdu));
    assert!(EventFilter { not_types: &other, ..all }.passes(&pdu));
    assert!(EventFilter { senders: Some(&alice), ..all }.passes(&pdu));
    assert!(!EventFilter { senders: Some(&bob), ..all }.passes(&pdu));
    assert!(!EventFilter { not_senders: &alice, ..all }.passes(&pdu));
    assert!(EventFilter { rooms: Some(&here), ..all }.passes(&pdu));
    assert!(!EventFilter { rooms: Some(&there), ..all }.passes(&pdu));
    assert!(!EventFilter { not_rooms: &here, ..all }.passes(&pdu));
}

#[test]
fn urls() {
    let cases = [
        (json!({ "url": "mxc://a/b" }), true),
        (json!({ "url": 3 }), false),
        (json!({ "info": { "url": "mxc://a/b" } }), false),
        (json!({ "body": "\"url\":" }), false),
        (json!({}), false),
    ];
    for (content, expected) in cases {
        let pdu = pdu(Send { content, ..message(ALICE) });
        for wanted in [true, false] {
            let filter = EventFilter { contains_url: Some(wanted), ..EventFilter::default() };
            assert_eq!(filter.passes(&pdu), wanted == expected, "{}", pdu.content());
        }
    }
}
