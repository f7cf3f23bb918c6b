//! Filters by themselves.

use ruma::{room_id, user_id};
use serde_json::json;

use super::*;

fn filter(json: &Value) -> SyncFilter {
    SyncFilter::parse(&json.to_string()).unwrap()
}

#[test]
fn no_filter_lets_everything_through() {
    for everything in [filter(&json!({})), filter(&json!({"room": {}}))] {
        assert!(everything.timeline.matches_type("m.room.message"));
        assert!(everything.timeline.matches_sender(user_id!("@a:example.org")));
        assert!(everything.rooms.matches(room_id!("!a:example.org")));
        assert!(!everything.timeline.is_nothing());
        assert_eq!(everything.timeline_limit, TIMELINE_LIMIT_DEFAULT);
        assert!(everything.format.is_plain());
        assert!(!everything.include_leave);
        assert_eq!(everything.lazy, LazyMembers::Off);
    }
}

#[test]
fn exclusion_wins() {
    let filter = filter(&json!({
        "room": {
            "rooms": ["!a:x", "!b:x"],
            "not_rooms": ["!b:x"],
            "timeline": {
                "types": ["m.room.*"],
                "not_types": ["m.room.topic"],
                "senders": ["@a:x", "@b:x"],
                "not_senders": ["@b:x"],
                "rooms": ["!a:x"],
            },
        },
    }));
    assert!(filter.rooms.matches(room_id!("!a:x")));
    assert!(!filter.rooms.matches(room_id!("!b:x")));
    assert!(!filter.rooms.matches(room_id!("!c:x")));
    assert!(!filter.timeline.matches_room(room_id!("!b:x")));
    assert!(filter.timeline.matches_type("m.room.name"));
    assert!(!filter.timeline.matches_type("m.room.topic"));
    assert!(!filter.timeline.matches_type("org.example"));
    assert!(filter.timeline.matches_sender(user_id!("@a:x")));
    assert!(!filter.timeline.matches_sender(user_id!("@b:x")));
    assert!(!filter.timeline.matches_sender(user_id!("@c:x")));
}

#[test]
fn empty_lists_match_nothing() {
    let nothing = filter(&json!({
        "account_data": {"types": []},
        "presence": {"senders": []},
        "room": {"rooms": [], "state": {"types": []}, "ephemeral": {"rooms": []}},
    }));
    assert!(nothing.account_data.is_nothing());
    assert!(nothing.presence.is_nothing());
    assert!(nothing.state.is_nothing());
    assert!(nothing.ephemeral.is_nothing());
    assert!(!nothing.rooms.matches(room_id!("!a:x")));
}

#[test]
fn limits_are_bounded() {
    let limit = |limit: Value| filter(&json!({"room": {"timeline": {"limit": limit}}}));
    assert_eq!(limit(json!(0)).timeline_limit, 0);
    assert_eq!(limit(json!(7)).timeline_limit, 7);
    assert_eq!(limit(json!(1_000_000)).timeline_limit, TIMELINE_LIMIT_MAX);
}

#[test]
fn lazy_members() {
    let lazy = |state: Value| filter(&json!({"room": {"state": state}})).lazy;
    assert_eq!(lazy(json!({"lazy_load_members": true})), LazyMembers::New);
    assert_eq!(
        lazy(json!({"lazy_load_members": true, "include_redundant_members": true})),
        LazyMembers::Redundant
    );
    assert_eq!(lazy(json!({"include_redundant_members": true})), LazyMembers::Off);
    // Only the state's flag counts for this endpoint.
    let timeline = filter(&json!({"room": {"timeline": {"lazy_load_members": true}}}));
    assert_eq!(timeline.lazy, LazyMembers::Off);
}

#[test]
fn invalid_filters_are_refused() {
    for json in [
        "",
        "{",
        "[]",
        "1",
        r#"{"room": 1}"#,
        r#"{"room": {"timeline": {"limit": -1}}}"#,
        r#"{"room": {"timeline": {"types": "m.room.message"}}}"#,
        r#"{"room": {"timeline": {"senders": ["nobody"]}}}"#,
        r#"{"room": {"rooms": ["nowhere"]}}"#,
    ] {
        assert!(matches!(SyncFilter::parse(json), Err(FilterError::Invalid(_))), "{json}");
    }
    let fields = json!({"event_fields": vec!["a"; 101]});
    assert!(SyncFilter::parse(&fields.to_string()).is_err());
}

#[test]
fn fields() {
    let filter = filter(&json!({
        "event_fields": [
            "type", "content.body", "content.a\\.b", "content.x\\\\y", "no.such", "type.x",
        ],
    }));
    let event = json!({
        "type": "m.room.message",
        "sender": "@a:x",
        "content": {"body": "hello", "a.b": 1, "a": {"b": 2}, "x\\y": 3, "msgtype": "m.text"},
    });
    let expected = json!({
        "type": "m.room.message",
        "content": {"body": "hello", "a.b": 1, "x\\y": 3},
    });
    assert_eq!(filter.format.project(&event), expected);
    assert!(!filter.format.is_plain());
    assert_eq!(parse_path("a\\"), ["a\\"]);
    assert_eq!(parse_path("a\\b.c"), ["a\\b", "c"]);
    assert_eq!(parse_path(""), [""]);
}

#[test]
fn formats() {
    assert!(filter(&json!({"event_format": "federation"})).format.federation);
    assert!(!filter(&json!({"event_format": "client"})).format.federation);
    assert!(filter(&json!({"event_fields": []})).format.is_plain());
}
