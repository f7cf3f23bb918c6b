//! Tests of our own events: completed, hashed, signed, and checked by another implementation.

use ruma::server_name;
use serde_json::json;

use super::*;
use crate::test_room::{ALICE, Maker, SEED_LINE, Send, message, state_event};

fn complete(draft: &Draft, placement: &Placement, version: &str) -> Result<SignedPdu, DraftError> {
    let key = SigningKey::parse(SEED_LINE).unwrap();
    let signer = Signer { server: server_name!("a.example"), key: &key };
    draft.complete(placement, signer, Rules::of(version).unwrap())
}

fn placement() -> Placement {
    Placement {
        room_id: Some("!room:a.example".try_into().unwrap()),
        origin_server_ts: 1_700_000_000_000,
        depth: 3,
        prev_events: vec![Reference {
            event_id: "$prev:a.example".try_into().unwrap(),
            hash: Some("prevhash".into()),
        }],
        auth_events: vec![],
        event_id_localpart: Some("local".into()),
    }
}

#[test]
fn the_json_is_canonical_in_every_version() {
    for rules in Rules::all() {
        let content = json!({ "body": "\u{7}\"x\"", "b": [1, null], "a": { "z": 1, "y": true } });
        let draft = Maker::draft(Send { content, ..message(ALICE) });
        let signed = complete(&draft, &placement(), rules.id).unwrap();
        let json = signed.pdu().json();
        assert_eq!(crate::json::canonical(json, Form::Strict).as_deref(), Ok(json));
        assert_eq!(
            signed.pdu().content(),
            r#"{"a":{"y":true,"z":1},"b":[1,null],"body":"\u0007\"x\""}"#
        );
        assert_eq!(signed.pdu().depth(), 3);
        assert_eq!(signed.pdu().prev_events(), ["$prev:a.example"]);
        assert_eq!(
            json.contains(r#"["$prev:a.example",{"sha256":"prevhash"}]"#),
            rules.references_carry_hashes()
        );
    }
}

#[test]
fn ids_by_format() {
    let id = |version: &str| {
        let draft = Maker::draft(message(ALICE));
        complete(&draft, &placement(), version).unwrap().pdu().event_id().to_string()
    };
    for version in ["1", "2"] {
        assert_eq!(id(version), "$local:a.example");
    }
    let standard = id("3");
    assert_eq!(standard.len(), 44);
    for version in ["4", "5", "6", "7", "8", "9", "10", "11", "12"] {
        assert_eq!(id(version), standard.replace('+', "-").replace('/', "_"), "version {version}");
    }
    let draft = Maker::draft(message(ALICE));
    let without = Placement { event_id_localpart: None, ..placement() };
    let error = complete(&draft, &without, "1").unwrap_err();
    assert_eq!(error, DraftError::Format(FormatError::Missing("event_id")));
}

#[test]
fn version_12_makes_the_room_id_of_the_create_event() {
    let content = json!({ "room_version": "12" });
    let draft = Maker::draft(state_event(ALICE, "m.room.create", "", content));
    let first = Placement { room_id: None, prev_events: vec![], depth: 1, ..placement() };
    let signed = complete(&draft, &first, "12").unwrap();
    let pdu = signed.pdu();
    assert_eq!(pdu.room_id().as_str()[1..], pdu.event_id().as_str()[1..]);
    assert_eq!(pdu.create_event_id().unwrap(), pdu.event_id());
    assert!(!pdu.json().contains("room_id"));
    assert_eq!(claimed_room_id(pdu.json()), None);
    // A create event that names its room is none.
    let error = complete(&draft, &Placement { prev_events: vec![], ..placement() }, "12");
    assert_eq!(error.unwrap_err(), DraftError::Format(FormatError::Invalid("room_id")));
    // Any other event must name it.
    let error = complete(&Maker::draft(message(ALICE)), &first, "12");
    assert_eq!(error.unwrap_err(), DraftError::Format(FormatError::Missing("room_id")));
}

#[test]
fn redacts_stands_where_the_version_wants_it() {
    for rules in Rules::all() {
        let mut draft = Maker::draft(Send {
            sender: ALICE,
            event_type: "m.room.redaction",
            state_key: None,
            content: json!({ "reason": "r" }),
        });
        draft.redacts = Some("$target".try_into().unwrap());
        let signed = complete(&draft, &placement(), rules.id).unwrap();
        assert_eq!(signed.pdu().redacts().unwrap(), "$target");
        let in_content = signed.pdu().content().contains("redacts");
        assert_eq!(in_content, rules.redacts_in_content(), "version {}", rules.id);
        assert_eq!(claimed_room_id(signed.pdu().json()).unwrap(), "!room:a.example");
    }
}

#[test]
fn too_large_and_too_long() {
    let with_body = |length: usize| {
        Maker::draft(Send { content: json!({ "body": "x".repeat(length) }), ..message(ALICE) })
    };
    let small = complete(&with_body(1), &placement(), "12").unwrap().pdu().json().len();
    let fits = MAX_EVENT_BYTES - small + 1;
    assert_eq!(complete(&with_body(fits), &placement(), "12").unwrap().pdu().json().len(), 65536);
    let error = complete(&with_body(fits + 1), &placement(), "12").unwrap_err();
    assert_eq!(error, DraftError::Format(FormatError::TooLarge));

    let key = "k".repeat(256);
    let draft = Maker::draft(state_event(ALICE, "m.x", &key, json!({})));
    let error = complete(&draft, &placement(), "12").unwrap_err();
    assert_eq!(error, DraftError::Format(FormatError::TooLong("state_key")));
    let draft = Maker::draft(state_event(ALICE, &key, "", json!({})));
    let error = complete(&draft, &placement(), "12").unwrap_err();
    assert_eq!(error, DraftError::Format(FormatError::TooLong("type")));

    let many =
        Placement { prev_events: vec![placement().prev_events[0].clone(); 21], ..placement() };
    let error = complete(&Maker::draft(message(ALICE)), &many, "12").unwrap_err();
    assert_eq!(error, DraftError::Format(FormatError::TooLong("prev_events")));
}

#[test]
fn depth_stops_counting() {
    let deep = Placement { depth: u64::MAX, ..placement() };
    let signed = complete(&Maker::draft(message(ALICE)), &deep, "1").unwrap();
    assert_eq!(signed.pdu().depth(), MAX_DEPTH);
}

#[test]
fn content_must_be_a_canonical_object() {
    let mut draft = Maker::draft(message(ALICE));
    for content in ["[]", "\"x\"", "{\"a\":1.5}", "{\"a\":9007199254740992}", r#"{"a":"\ud800"}"#] {
        draft.content = RawValue::from_string(content.into()).unwrap();
        // Also where the version would take it from others.
        for version in ["1", "12"] {
            let error = complete(&draft, &placement(), version).unwrap_err();
            assert!(matches!(error, DraftError::Content(_)), "{content}");
        }
    }
}
