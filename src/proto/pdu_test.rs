//! Tests of event format, identifiers and limits.

use serde_json::{Value, json};

use super::*;
use crate::{
    json::{Form, JsonError},
    test_room::{ALICE, Maker, message, state_event},
};

/// A valid event of another server.
fn event(rules: &Rules) -> Value {
    let reference = |id: &str| {
        if rules.references_carry_hashes() { json!([id, { "sha256": "h" }]) } else { json!(id) }
    };
    let mut event = json!({
        "auth_events": [reference("$a:a")], "content": {"k": "v"}, "depth": 12,
        "hashes": {"sha256": "h"}, "origin_server_ts": 1_838_188_000,
        "prev_events": [reference("$b:a")], "room_id": "!r:a", "sender": "@a:a",
        "signatures": {}, "type": "m.t", "unsigned": {"age": 4612},
    });
    if rules.has_event_id_field() {
        event["event_id"] = "$e:a".into();
    }
    event
}

fn parse(rules: &'static Rules, change: impl FnOnce(&mut Value)) -> Result<Pdu, FormatError> {
    let mut event = event(rules);
    change(&mut event);
    Pdu::parse(&event.to_string(), rules)
}

#[test]
fn a_valid_event_of_every_version() {
    for rules in Rules::all() {
        let pdu = parse(rules, |_| {}).unwrap();
        assert_eq!(pdu.room_id(), "!r:a");
        assert_eq!(pdu.sender(), "@a:a");
        assert_eq!(pdu.type_str(), "m.t");
        assert_eq!(pdu.event_type().to_string(), "m.t");
        assert_eq!(pdu.state_key(), None);
        assert_eq!(pdu.content(), r#"{"k":"v"}"#);
        assert_eq!(pdu.content_raw().get(), pdu.content());
        assert_eq!(pdu.content_field::<String>("k").as_deref(), Some("v"));
        assert_eq!(pdu.content_field::<u32>("k"), None);
        assert_eq!(pdu.content_field::<String>("x"), None);
        assert_eq!((pdu.depth(), pdu.origin_server_ts()), (12, 1_838_188_000));
        assert_eq!(pdu.auth_events(), ["$a:a"]);
        assert_eq!(pdu.prev_events(), ["$b:a"]);
        assert!(!pdu.json().contains("unsigned"));
        let again = Pdu::load(pdu.json(), pdu.event_id().to_owned(), rules).unwrap();
        assert_eq!(again.json(), pdu.json());
        let other = parse(rules, |event| event["content"]["k"] = "w".into()).unwrap();
        // The content hash is claimed, not computed, so redaction makes the same id of both.
        assert_eq!(other.event_id(), pdu.event_id());
        let other = parse(rules, |event| event["depth"] = 13.into()).unwrap();
        assert_eq!(other.event_id() == pdu.event_id(), rules.has_event_id_field());
    }
}

#[test]
fn fields_that_must_be_there() {
    let all = [
        "auth_events",
        "content",
        "depth",
        "hashes",
        "origin_server_ts",
        "prev_events",
        "room_id",
        "sender",
        "type",
    ];
    for rules in Rules::all() {
        for field in all {
            let error = parse(rules, |event| {
                event.as_object_mut().unwrap().remove(field);
            });
            assert_eq!(error.unwrap_err(), FormatError::Missing(field), "version {}", rules.id);
        }
        let without_id = parse(rules, |event| {
            event.as_object_mut().unwrap().remove("event_id");
        });
        let expected = rules.has_event_id_field().then_some(FormatError::Missing("event_id"));
        assert_eq!(without_id.err(), expected);
    }
}

#[test]
fn fields_of_the_wrong_type() {
    let cases = [
        ("auth_events", json!("$a")),
        ("auth_events", json!([1])),
        ("auth_events", json!(["no sigil"])),
        ("content", json!([])),
        ("content", json!("x")),
        ("depth", json!("1")),
        ("depth", json!(-1)),
        ("depth", json!(null)),
        ("hashes", json!([])),
        ("hashes", json!({})),
        ("hashes", json!({"sha256": 1})),
        ("hashes", json!({"sha512": "h"})),
        ("origin_server_ts", json!("1")),
        ("prev_events", json!({})),
        ("room_id", json!("r")),
        ("room_id", json!(1)),
        ("sender", json!("alice")),
        ("sender", json!("@alice")),
        ("signatures", json!("x")),
        ("state_key", json!(null)),
        ("state_key", json!(1)),
        ("type", json!({})),
    ];
    for rules in Rules::all() {
        for (field, value) in &cases {
            let error = parse(rules, |event| event[*field] = value.clone()).unwrap_err();
            assert_eq!(error, FormatError::Invalid(field), "{field} {value} in {}", rules.id);
        }
    }
}

#[test]
fn references_have_the_form_of_the_version() {
    for rules in Rules::all() {
        let other = if rules.references_carry_hashes() {
            json!(["$b:a"])
        } else {
            json!([["$b:a", { "sha256": "h" }]])
        };
        let error = parse(rules, |event| event["prev_events"] = other).unwrap_err();
        assert_eq!(error, FormatError::Invalid("prev_events"));
    }
}

#[test]
fn limits() {
    let rules = Rules::of("12").unwrap();
    let long = |length: usize| "x".repeat(length);
    let with = |field: &'static str, value: String| {
        parse(rules, |event| event[field] = value.into()).err()
    };
    assert_eq!(with("state_key", long(255)), None);
    assert_eq!(with("state_key", long(256)), Some(FormatError::TooLong("state_key")));
    // Bytes are counted, not characters.
    assert_eq!(with("state_key", "é".repeat(128)), Some(FormatError::TooLong("state_key")));
    assert_eq!(with("type", long(256)), Some(FormatError::TooLong("type")));
    assert_eq!(with("sender", format!("@{}:a", long(252))), None);
    assert_eq!(with("sender", format!("@{}:a", long(253))), Some(FormatError::TooLong("sender")));
    assert_eq!(with("room_id", format!("!{}", long(255))), Some(FormatError::TooLong("room_id")));
    for field in ["auth_events", "prev_events"] {
        let named = |length: usize| {
            parse(rules, |event| event[field] = json!([format!("${}", long(length))])).err()
        };
        assert_eq!((named(254), named(255)), (None, Some(FormatError::Invalid(field))));
    }
    let many = |field: &'static str, count: usize| {
        parse(rules, |event| event[field] = vec!["$x"; count].into()).err()
    };
    assert_eq!(many("prev_events", 20), None);
    assert_eq!(many("prev_events", 21), Some(FormatError::TooLong("prev_events")));
    assert_eq!(many("auth_events", 10), None);
    assert_eq!(many("auth_events", 11), Some(FormatError::TooLong("auth_events")));

    let body = |length: usize| parse(rules, |event| event["content"]["k"] = long(length).into());
    let fits = MAX_EVENT_BYTES - body(0).unwrap().json().len();
    assert_eq!(body(fits).unwrap().json().len(), 65_536);
    assert_eq!(body(fits + 1).unwrap_err(), FormatError::TooLarge);
    // What is not signed does not count.
    assert!(parse(rules, |event| event["unsigned"]["x"] = long(70_000).into()).is_ok());
}

#[test]
fn depths_of_old_rooms_go_further() {
    let with = |version: &str, depth: &str| {
        let rules = Rules::of(version).unwrap();
        let text = event(rules).to_string().replace("\"depth\":12", &format!("\"depth\":{depth}"));
        Pdu::parse(&text, rules).map(|pdu| pdu.depth())
    };
    assert_eq!(with("1", "9223372036854775807"), Ok(i64::MAX.unsigned_abs()));
    assert_eq!(with("1", "9223372036854775808"), Err(FormatError::Invalid("depth")));
    assert_eq!(with("1", "1.0"), Err(FormatError::Invalid("depth")));
    assert_eq!(with("6", "9007199254740991"), Ok(crate::size::MAX_DEPTH));
    let out_of_range = with("6", "9007199254740992");
    assert!(matches!(out_of_range, Err(FormatError::Json(JsonError::Number(_)))));
}

#[test]
fn an_event_id_of_old_rooms_names_its_server() {
    let rules = Rules::of("1").unwrap();
    for id in ["$x", "x:a", "$x:", "$x:not a server"] {
        let error = parse(rules, |event| event["event_id"] = id.into()).unwrap_err();
        assert_eq!(error, FormatError::Invalid("event_id"), "{id}");
    }
}

#[test]
fn membership_and_redacts_belong_to_their_types() {
    let rules = Rules::of("10").unwrap();
    let with = |event_type: &str, content: Value| {
        parse(rules, |event| {
            event["type"] = event_type.into();
            event["state_key"] = "@a:a".into();
            event["content"] = content;
            event["redacts"] = "$x".into();
        })
        .unwrap()
    };
    let member = with("m.room.member", json!({ "membership": "knock" }));
    assert_eq!(member.membership(), Some(Membership::Knock));
    assert_eq!(member.redacts(), None);
    assert_eq!(with("m.room.member", json!({ "membership": "x" })).membership(), None);
    assert_eq!(with("m.room.member", json!({ "membership": 1 })).membership(), None);
    assert_eq!(with("m.x", json!({ "membership": "join" })).membership(), None);
    assert_eq!(with("m.room.redaction", json!({})).redacts().unwrap(), "$x");
    assert!(member.is_state_of("m.room.member", "@a:a"));
    assert!(!member.is_state_of("m.room.member", "@b:a"));
}

#[test]
fn broken_json_is_no_event() {
    for rules in Rules::all() {
        for text in ["", "[]", "{", "null", "{\"a\":NaN}"] {
            assert!(matches!(Pdu::parse(text, rules), Err(FormatError::Json(_))), "{text}");
        }
    }
}

#[test]
fn duplicate_keys_count_once_and_the_last() {
    let rules = Rules::of("10").unwrap();
    let text = event(rules).to_string().replacen('{', "{\"depth\":3,\"type\":\"m.other\",", 1);
    let pdu = Pdu::parse(&text, rules).unwrap();
    assert_eq!((pdu.depth(), pdu.type_str()), (12, "m.t"));
    assert_eq!(pdu.json().matches("depth").count(), 1);
    assert_eq!(pdu.event_id(), parse(rules, |_| {}).unwrap().event_id());
}

/// ruma sees in our events what stands in them.
#[test]
fn as_ruma_sees_it() {
    let mut maker = Maker::new("12");
    let tip = maker.room();
    let create = tip.get("m.room.create", "").unwrap();
    // The create event of version 12 names no room, and ruma checks that.
    assert_eq!(Event::room_id(&**create), None);
    let prev = tip.last.clone().unwrap();
    let pdu = maker.make(message(ALICE), &[&prev], &tip.state);
    assert_eq!(Event::room_id(&*pdu), Some(Pdu::room_id(create)));
    assert_eq!(Event::event_id(&*pdu), Pdu::event_id(&pdu));
    assert_eq!(Event::prev_events(&*pdu).collect::<Vec<_>>(), [prev.event_id()]);
    assert_eq!(Event::auth_events(&*pdu).count(), 2);
    assert_eq!(Event::content(&*pdu).get(), Pdu::content(&pdu));
    let topic = maker.make(state_event(ALICE, "t", "k", json!({})), &[&prev], &tip.state);
    assert_eq!(Event::state_key(&*topic), Some("k"));
    assert_eq!(crate::json::canonical(topic.json(), Form::Strict).as_deref(), Ok(topic.json()));
    assert!(format!("{topic:?}").contains(topic.event_id().as_str()));
}
