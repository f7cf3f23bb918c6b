//! Tests of power levels.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::test_room::{ALICE, BOB, CAROL, Maker, Tip, state_event, user};

fn room(version: &str) -> (Maker, Tip) {
    let mut maker = Maker::new(version);
    let tip = maker.room();
    (maker, tip)
}

/// An event with these levels, whether allowed or not.
fn levels(maker: &mut Maker, tip: &Tip, content: Json) -> Arc<Pdu> {
    maker.make(state_event(ALICE, "m.room.power_levels", "", content), &[], &tip.state)
}

#[test]
fn without_an_event_the_creator_stands_above_the_others() {
    for rules in Rules::all() {
        let (_, tip) = room(rules.id);
        let powers = Powers::of(tip.get("m.room.create", "").unwrap(), None);
        let expected =
            if rules.privileged_creators() { Power::Infinite } else { Power::Level(100) };
        assert_eq!(powers.of_user(user(ALICE)), expected, "version {}", rules.id);
        assert_eq!(powers.of_user(user(BOB)), Power::Level(0));
        assert_eq!(powers.level(Level::Invite), 0);
        for level in [Level::Ban, Level::Kick, Level::Redact, Level::StateDefault] {
            assert_eq!(powers.level(level), 50);
        }
        assert!(powers.may_send(user(BOB), "m.room.message", false));
        assert!(!powers.may_send(user(BOB), "m.room.topic", true));
        assert_eq!(powers.to_notify("room"), 50);
        assert_eq!(powers.creators(), [ALICE]);
    }
}

#[test]
fn with_an_event_only_privileged_creators_stand_above_it() {
    for rules in Rules::all() {
        let (mut maker, tip) = room(rules.id);
        let content = json!({
            "users": {BOB: 70}, "users_default": 5, "events": {"m.x": 71}, "events_default": 6,
            "state_default": 60, "ban": 1, "kick": 2, "invite": 3, "redact": 4,
            "notifications": {"room": 8},
        });
        let event = levels(&mut maker, &tip, content);
        let powers = Powers::of(tip.get("m.room.create", "").unwrap(), Some(&event));
        let alice = if rules.privileged_creators() { Power::Infinite } else { Power::Level(5) };
        assert_eq!(powers.of_user(user(ALICE)), alice);
        assert_eq!(powers.of_user(user(BOB)), Power::Level(70));
        assert_eq!(powers.of_user(user(CAROL)), Power::Level(5));
        let named = Level::ALL.map(|level| powers.level(level));
        assert_eq!(named, [1, 2, 3, 4, 5, 6, 60]);
        assert!(powers.may_send(user(BOB), "m.y", true));
        assert!(!powers.may_send(user(BOB), "m.x", false));
        assert_eq!((powers.to_notify("room"), powers.to_notify("other")), (8, 50));
        assert!(powers.reaches(user(CAROL), Level::Redact));
        assert_eq!(powers.users().collect::<Vec<_>>(), [(BOB, 70)]);
    }
}

#[test]
fn strings_and_floats_count_where_the_version_lets_them() {
    for rules in Rules::all() {
        let (_, tip) = room(rules.id);
        let create = tip.get("m.room.create", "").unwrap();
        let of = |value: &str| {
            let json = tip.get("m.room.power_levels", "").unwrap().json().to_owned();
            let start = json.find("\"content\":").unwrap() + 10;
            let end = json.find(",\"depth\"").unwrap();
            let content = format!("{{\"users\":{{\"{BOB}\":{value}}}}}");
            let text = format!("{}{content}{}", &json[..start], &json[end..]);
            let pdu = Pdu::parse(&text, rules).ok()?;
            Some(Powers::of(create, Some(&pdu)).of_user(user(BOB)))
        };
        let strings = rules.authorization.integer_power_levels;
        let expected = |level: i64| Some(Power::Level(if strings { 0 } else { level }));
        assert_eq!(of("\"50\""), expected(50));
        assert_eq!(of("\"  +0050 \""), expected(50));
        assert_eq!(of("\"-1\""), expected(-1));
        assert_eq!(of("\"5.0\""), expected(0));
        assert_eq!(of("\"\""), expected(0));
        assert_eq!(of("null"), expected(0));
        let floats = (rules.json == Form::Lenient).then_some(());
        assert_eq!(of("50.57"), floats.map(|()| Power::Level(50)));
        assert_eq!(of("5.114698E4"), floats.map(|()| Power::Level(51_146)));
    }
}

#[test]
fn several_creators() {
    let (mut maker, tip) = room("12");
    let mut of = |content: Json| {
        let pdu = maker.make(state_event(ALICE, "m.x", "", content), &[], &tip.state);
        creators(&pdu)
    };
    assert_eq!(of(json!({"additional_creators": [BOB, ALICE, BOB]})), [ALICE, BOB]);
    assert_eq!(of(json!({})), [ALICE]);
    let (mut maker, tip) = room("11");
    let event = state_event(ALICE, "m.x", "", json!({"additional_creators": [BOB]}));
    assert_eq!(creators(&maker.make(event, &[], &tip.state)), [ALICE]);
    let (mut maker, tip) = room("10");
    let event = state_event(ALICE, "m.x", "", json!({"creator": BOB}));
    assert_eq!(creators(&maker.make(event, &[], &tip.state)), [BOB]);
}
