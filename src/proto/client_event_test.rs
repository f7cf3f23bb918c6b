//! Tests of the form that clients get.

use serde_json::{Value as Json, json};

use super::*;
use crate::{
    rules::Rules,
    test_room::{ALICE, Maker, Send, message, state_event},
};

fn body_of(version: &str, send: Send<'_>, redacts: Option<&str>) -> (Pdu, Json) {
    let maker = Maker::new(version);
    let mut draft = Maker::draft(send);
    draft.redacts = redacts.map(|id| id.try_into().unwrap());
    let mut placement = maker.placement(&draft, &[], &crate::test_room::State::new());
    placement.room_id = Some("!room:a.example".try_into().unwrap());
    let pdu = maker.sign(&draft, &placement).pdu().clone();
    let body = serde_json::from_str(&client_body(&pdu)).unwrap();
    (pdu, body)
}

#[test]
fn a_message() {
    let (pdu, body) = body_of("12", message(ALICE), None);
    let expected = json!({
        "content": { "body": "hello", "msgtype": "m.text" }, "event_id": pdu.event_id(),
        "origin_server_ts": pdu.origin_server_ts(), "sender": ALICE, "type": "m.room.message",
    });
    assert_eq!(body, expected);
}

#[test]
fn a_state_event_in_every_form() {
    let topic = state_event(ALICE, "m.room.topic", "k\"ey", json!({ "topic": "\n" }));
    let (pdu, body) = body_of("12", topic, None);
    assert_eq!(body["state_key"], "k\"ey");
    let stripped: Json = serde_json::from_str(&stripped_state(&pdu).unwrap()).unwrap();
    let expected = json!({
        "content": { "topic": "\n" }, "sender": ALICE, "state_key": "k\"ey", "type": "m.room.topic",
    });
    assert_eq!(stripped, expected);
    let (pdu, _) = body_of("12", message(ALICE), None);
    assert_eq!(stripped_state(&pdu), None);
}

#[test]
fn splices() {
    let (pdu, body) = body_of("12", message(ALICE), None);
    let text = client_body(&pdu);
    let spliced = |add: Splice<'_>| {
        let mut out = "before".to_owned();
        splice(&text, add, &mut out);
        serde_json::from_str::<Json>(out.strip_prefix("before").unwrap()).unwrap()
    };
    assert_eq!(spliced(Splice::default()), body);
    let mut expected = body.clone();
    expected["unsigned"] = json!({ "age": 3 });
    assert_eq!(spliced(Splice { unsigned: Some(r#"{"age":3}"#), ..Splice::default() }), expected);
    expected["room_id"] = "!room:a.example".into();
    let add = Splice { unsigned: Some(r#"{"age":3}"#), room_id: Some(pdu.room_id()) };
    assert_eq!(spliced(add), expected);
}

#[test]
fn a_redaction_names_its_target_twice() {
    for rules in Rules::all() {
        let send = Send {
            sender: ALICE,
            event_type: "m.room.redaction",
            state_key: None,
            content: json!({ "reason": "r" }),
        };
        let (_, body) = body_of(rules.id, send, Some("$target"));
        assert_eq!(body["redacts"], "$target", "version {}", rules.id);
        assert_eq!(body["content"], json!({ "reason": "r", "redacts": "$target" }));
    }
}

#[test]
fn a_redacted_event_keeps_its_id() {
    let (pdu, body) = body_of("12", message(ALICE), None);
    let redacted: Json = serde_json::from_str(&client_body(&pdu.redacted())).unwrap();
    assert_eq!(redacted["event_id"], body["event_id"]);
    assert_eq!(redacted["content"], json!({}));
}
