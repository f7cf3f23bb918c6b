//! The order in which events are stored that name each other.

use proto::rules::Rules;
use serde_json::{Value, json};

use super::*;

/// An event with an id of the sender's choice, which names these.
fn event(id: &str, auth: &[&str], previous: &[&str]) -> Arc<Pdu> {
    let references = |ids: &[&str]| {
        let pair = |id: &&str| json!([format!("${id}:b.org"), { "sha256": "hash" }]);
        ids.iter().map(pair).collect::<Value>()
    };
    let event = json!({
        "auth_events": references(auth), "prev_events": references(previous), "content": {},
        "depth": 1, "event_id": format!("${id}:b.org"), "hashes": { "sha256": "hash" },
        "origin_server_ts": 1, "room_id": "!room:b.org", "sender": "@a:b.org", "signatures": {},
        "type": "m.room.message",
    });
    Arc::new(Pdu::parse(&event.to_string(), Rules::of("1").unwrap()).unwrap())
}

fn ids(pdus: &[Arc<Pdu>]) -> Vec<&str> {
    pdus.iter().map(|pdu| &pdu.event_id().as_str()[1..2]).collect()
}

#[test]
fn what_is_named_comes_before() {
    let (a, b) = (event("a", &["b", "c"], &["d"]), event("b", &["d"], &["a"]));
    let (c, d) = (event("c", &["d"], &["b", "b"]), event("d", &["x"], &["x"]));
    let all = [a, b, c, d];
    assert_eq!(ids(&in_auth_order(&all)), ["d", "c", "b", "a"]);
    assert_eq!(ids(&in_previous_order(&all)), ["d", "a", "b", "c"]);
    let backwards = all.into_iter().rev().collect::<Vec<_>>();
    assert_eq!(ids(&in_auth_order(&backwards)), ["d", "c", "b", "a"]);
    assert_eq!(ids(&in_previous_order(&backwards)), ["d", "a", "b", "c"]);
}

#[test]
fn events_that_name_each_other_in_a_circle_come_once() {
    let own = event("a", &["a"], &["a"]);
    assert_eq!(ids(&in_auth_order(std::slice::from_ref(&own))), ["a"]);
    assert_eq!(ids(&in_previous_order(&[own])), ["a"]);
    let around = [
        event("a", &["b"], &["c", "b"]),
        event("b", &["c"], &["a", "c"]),
        event("c", &["a"], &["b", "a"]),
    ];
    for ordered in [in_auth_order(&around), in_previous_order(&around)] {
        let mut ids = ids(&ordered);
        ids.sort_unstable();
        assert_eq!(ids, ["a", "b", "c"]);
    }
}
