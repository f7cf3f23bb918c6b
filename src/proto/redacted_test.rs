//! Tests of redaction in every room version.

use ruma::{CanonicalJsonObject, canonical_json::redact as ruma_redact};
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    json::{canonical, parse_object},
    test_room::{ALICE, Maker, state_event},
};

/// One content of each type for which anything is kept, with what no version keeps.
fn contents() -> Vec<(&'static str, Json)> {
    vec![
        (
            "m.room.member",
            json!({"membership": "invite", "displayname": "A", "reason": "r",
                "join_authorised_via_users_server": "@a:a", "third_party_invite":
                {"display_name": "x", "signed": {"mxid": "@a:a", "token": "t"}}}),
        ),
        ("m.room.create", json!({"creator": "@a:a", "m.federate": false, "x": {"y": 1}})),
        ("m.room.join_rules", json!({"join_rule": "restricted", "allow": [{"type": "t"}], "x": 1})),
        (
            "m.room.power_levels",
            json!({"ban": 1, "events": {"t": 2}, "events_default": 3, "kick": 4, "redact": 5,
                "state_default": 6, "users": {"@a:a": 7}, "users_default": 8, "invite": 9,
                "notifications": {"room": 10}}),
        ),
        ("m.room.history_visibility", json!({"history_visibility": "joined", "x": 1})),
        ("m.room.redaction", json!({"redacts": "$e", "reason": "r"})),
        ("m.room.aliases", json!({"aliases": ["#a:a"], "x": 1})),
        ("m.room.message", json!({"body": "b", "msgtype": "m.text"})),
        ("m.room.server_acl", json!({"allow": ["*"]})),
    ]
}

fn event(event_type: &str, content: &Json) -> Json {
    json!({
        "auth_events": [], "content": content, "depth": 1, "event_id": "$e:a",
        "hashes": {"sha256": "h"},
        "membership": "join", "origin": "a", "origin_server_ts": 1, "prev_events": [],
        "prev_state": [], "redacts": "$x:a", "room_id": "!r:a", "sender": "@a:a", "signatures":
        {"a": {"ed25519:1": "s"}}, "state_key": "", "type": event_type, "unsigned": {"age": 1},
        "unknown": 1,
    })
}

#[test]
fn keeps_what_ruma_keeps_in_every_version() {
    for rules in Rules::all() {
        for (event_type, content) in contents() {
            let text = event(event_type, &content).to_string();
            let object = parse_object(&text, rules.json).unwrap();
            let mut ours = String::new();
            write_redacted(&object, rules, true, &mut ours);
            let ruma: CanonicalJsonObject = serde_json::from_str(&text).unwrap();
            let ruma = ruma_redact(ruma, &rules.redaction, None).unwrap();
            assert_eq!(ours, serde_json::to_string(&ruma).unwrap(), "version {}", rules.id);
            let mut unsigned = String::new();
            write_redacted(&object, rules, false, &mut unsigned);
            let signatures = r#""signatures":{"a":{"ed25519:1":"s"}},"#;
            assert_eq!(unsigned, ours.replace(signatures, ""));
        }
    }
}

/// What each version keeps, written down.
#[test]
fn kept_content_by_version() {
    let kept = |version: &str, event_type: &str| {
        let contents = contents();
        let (_, content) = contents.iter().find(|(kind, _)| *kind == event_type).unwrap();
        let text = content.to_string();
        let content = parse_object(&text, crate::json::Form::Strict).unwrap();
        let mut out = String::new();
        let rules = Rules::of(version).unwrap();
        write_redacted_content(&content, event_type, &rules.redaction, &mut out);
        let kept: serde_json::Map<String, Json> = serde_json::from_str(&out).unwrap();
        kept.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kept("5", "m.room.aliases"), "aliases");
    assert_eq!(kept("6", "m.room.aliases"), "");
    assert_eq!(kept("7", "m.room.join_rules"), "join_rule");
    assert_eq!(kept("8", "m.room.join_rules"), "allow join_rule");
    assert_eq!(kept("8", "m.room.member"), "membership");
    assert_eq!(kept("9", "m.room.member"), "join_authorised_via_users_server membership");
    let all = "join_authorised_via_users_server membership third_party_invite";
    assert_eq!(kept("11", "m.room.member"), all);
    assert_eq!(kept("10", "m.room.create"), "creator");
    assert_eq!(kept("11", "m.room.create"), "creator m.federate x");
    assert_eq!(kept("10", "m.room.redaction"), "");
    assert_eq!(kept("11", "m.room.redaction"), "redacts");
    assert!(!kept("10", "m.room.power_levels").contains("invite"));
    assert!(kept("11", "m.room.power_levels").contains("invite"));
    assert!(!kept("12", "m.room.power_levels").contains("notifications"));
    assert_eq!(kept("12", "m.room.message"), "");
}

#[test]
fn of_a_third_party_invite_only_what_is_signed_is_kept() {
    let rules = &Rules::of("11").unwrap().redaction;
    let redacted = |content: &str| {
        let content = parse_object(content, crate::json::Form::Strict).unwrap();
        let mut out = String::new();
        write_redacted_content(&content, "m.room.member", rules, &mut out);
        out
    };
    let with = r#"{"third_party_invite":{"display_name":"x","signed":{"a":1}}}"#;
    assert_eq!(redacted(with), r#"{"third_party_invite":{"signed":{"a":1}}}"#);
    assert_eq!(redacted(r#"{"third_party_invite":{"x":1}}"#), r#"{"third_party_invite":{}}"#);
    assert_eq!(redacted(r#"{"third_party_invite":"x"}"#), "{}");
}

#[test]
fn a_redacted_pdu_keeps_id_hash_and_form() {
    for rules in Rules::all() {
        let mut maker = Maker::new(rules.id);
        let tip = maker.room();
        let topic = state_event(ALICE, "m.room.topic", "", json!({ "topic": "t" }));
        let pdu = maker.make(topic, &[&**tip.last.as_ref().unwrap()], &tip.state);
        let redacted = pdu.redacted();
        assert_eq!(redacted.content(), "{}");
        assert_eq!(redacted.event_id(), pdu.event_id());
        assert_eq!(redacted.state_key(), Some(""));
        assert_eq!(redacted.reference_hash(), pdu.reference_hash());
        assert_eq!(canonical(redacted.json(), rules.json).as_deref(), Ok(redacted.json()));
        let object = parse_object(redacted.json(), rules.json).unwrap();
        assert!(!crate::hash::content_hash_matches(&object, rules));
        assert_eq!(redacted.redacted().json(), redacted.json());
        let create = tip.get("m.room.create", "").unwrap();
        assert_eq!(create.redacted().room_id(), create.room_id());
    }
}
