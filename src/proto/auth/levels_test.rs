//! The rules about power levels: what is needed, who has it, and who changes it.

use serde_json::{Value as Json, json};

use crate::{
    auth::DeniedKind,
    test_room::{ALICE, BOB, CAROL, DAVE, Room, Send, all, member, message, state_event},
};

const DENIED: Option<DeniedKind> = Some(DeniedKind::Power);

fn topic(sender: &str) -> Send<'_> {
    state_event(sender, "m.room.topic", "", json!({ "topic": "t" }))
}

/// Has Bob change the power levels of a room, without anything being applied.
fn change(room: &mut Room, how: impl FnOnce(&mut Json)) -> Option<DeniedKind> {
    let base = room.tip.get("m.room.power_levels", "").unwrap();
    let mut content: Json = serde_json::from_str(base.content()).unwrap();
    how(&mut content);
    room.denied(state_event(BOB, "m.room.power_levels", "", content))
}

fn remove(content: &mut Json, field: &str, key: &str) {
    content[field].as_object_mut().unwrap().remove(key).unwrap();
}

#[test]
fn who_is_not_named_has_the_default_of_users() {
    for mut room in all() {
        room.powers(json!({ "users_default": 60, "users": { BOB: 10 } }));
        assert_eq!(room.denied(topic(CAROL)), None);
        assert_eq!(room.denied(topic(BOB)), DENIED);
        assert_eq!(room.denied(member(CAROL, BOB, "ban")), None);
        room.powers(json!({ "users_default": 49, "users": {} }));
        assert_eq!(room.denied(topic(CAROL)), DENIED);
    }
}

/// Without power levels the creator has power, state needs it, and messages do not.
#[test]
fn rooms_without_power_levels() {
    for mut room in all() {
        room.tip.state.remove(&("m.room.power_levels".to_owned(), String::new())).unwrap();
        assert_eq!(room.denied(topic(BOB)), DENIED);
        assert_eq!(room.denied(message(BOB)), None);
        assert_eq!(room.denied(member(BOB, DAVE, "invite")), None);
        assert_eq!(room.denied(topic(ALICE)), None);
        for act in ["leave", "ban"] {
            assert_eq!(room.denied(member(BOB, CAROL, act)), DENIED);
            assert_eq!(room.denied(member(ALICE, CAROL, act)), None);
        }
    }
}

#[test]
fn a_creator_who_steps_down_is_as_any_other_before_version_12() {
    for mut room in all() {
        let privileged = room.maker.rules.privileged_creators();
        let mut users = json!({ BOB: 100 });
        if !privileged {
            users[ALICE] = 10.into();
        }
        room.must(state_event(ALICE, "m.room.power_levels", "", json!({ "users": users })));
        assert_eq!(room.denied(topic(ALICE)).is_none(), privileged);
        assert_eq!(room.denied(member(ALICE, CAROL, "ban")).is_none(), privileged);
        assert_eq!(room.denied(member(BOB, ALICE, "ban")).is_none(), !privileged);
        assert_eq!(room.denied(topic(BOB)), None);
    }
}

#[test]
fn kicks_and_bans_need_50_where_nothing_is_said() {
    for mut room in all() {
        for (level, expected) in [(49, DENIED), (50, None)] {
            room.powers(json!({ "users": { BOB: level } }));
            for act in ["leave", "ban"] {
                assert_eq!(room.denied(member(BOB, CAROL, act)), expected, "{act} by {level}");
            }
            let mut banned = room.tip.clone();
            room.maker.send(&mut banned, member(ALICE, CAROL, "ban")).unwrap();
            let unban = room.maker.send(&mut banned, member(BOB, CAROL, "leave"));
            assert_eq!(unban.err().map(|denied| denied.kind), expected);
        }
    }
}

/// A level that is set or taken out was or becomes what it is where nothing is said.
/// This is how the library reads the rule; Synapse does not look at a level that is not there.
#[test]
fn levels_that_are_not_set_count_as_their_defaults() {
    for mut room in all() {
        for (field, default) in [
            ("ban", 50),
            ("kick", 50),
            ("redact", 50),
            ("state_default", 50),
            ("invite", 0),
            ("events_default", 0),
            ("users_default", 0),
        ] {
            for level in [40, 50] {
                let mut content =
                    json!({ "users": { BOB: level }, "events": { "m.room.power_levels": 40 } });
                let expected = if level < default { DENIED } else { None };
                room.powers(content.clone());
                let set = change(&mut room, |content| content[field] = 30.into());
                assert_eq!(set, expected, "{field} set by {level}");
                content[field] = 30.into();
                room.powers(content);
                let taken = change(&mut room, |content| {
                    content.as_object_mut().unwrap().remove(field).unwrap();
                });
                assert_eq!(taken, expected, "{field} taken out by {level}");
            }
        }
    }
}

/// Of events and, from version 6 on, of notifications: neither the old level nor the new one may be
/// above the sender's.
#[test]
fn named_levels_are_changed_up_to_the_own_one() {
    for mut room in all() {
        let from_6 = room.maker.rules.authorization.limit_notifications_power_levels;
        room.powers(json!({ "users": { BOB: 50 },
            "events": { "own": 50, "above": 51 }, "notifications": { "own": 50, "above": 51 } }));
        for (field, limited) in [("events", true), ("notifications", from_6)] {
            let expected = if limited { DENIED } else { None };
            let mut set = |key: &str, level: i64| {
                change(&mut room, |content| content[field][key] = level.into())
            };
            assert_eq!(set("own", 49), None, "{field}");
            assert_eq!(set("own", 51), expected, "{field}");
            assert_eq!(set("above", 50), expected, "{field}");
            assert_eq!(set("above", 51), None, "{field}");
            assert_eq!(set("new", 50), None, "{field}");
            assert_eq!(set("new", 51), expected, "{field}");
            let own = change(&mut room, |content| remove(content, field, "own"));
            let above = change(&mut room, |content| remove(content, field, "above"));
            assert_eq!((own, above), (None, expected), "{field}");
        }
    }
}

/// ruma takes the one for the other.
#[test]
fn each_name_of_a_type_has_its_own_level() {
    let names =
        ["m.call.sdp_stream_metadata_changed", "org.matrix.call.sdp_stream_metadata_changed"];
    let of = |name: &'static str| Send { event_type: name, ..message(BOB) };
    for mut room in all() {
        for [low, high] in [names, [names[1], names[0]]] {
            room.powers(json!({ "users": { BOB: 50 }, "events": { low: 40, high: 60 } }));
            assert_eq!(room.denied(of(low)), None, "{low}");
            assert_eq!(room.denied(of(high)), DENIED, "{high}");
            assert_eq!(change(&mut room, |content| content["events"][low] = 50.into()), None);
            assert_eq!(change(&mut room, |content| content["events"][high] = 50.into()), DENIED);
            assert_eq!(change(&mut room, |content| remove(content, "events", low)), None);
            assert_eq!(change(&mut room, |content| remove(content, "events", high)), DENIED);
            // The level of the one is not that of the other.
            room.powers(json!({ "users": { BOB: 50 }, "events": { high: 60 } }));
            assert_eq!(room.denied(of(low)), None, "{low}");
            room.powers(json!({ "users": { BOB: 50 }, "events": { low: 40 },
                "events_default": 60 }));
            assert_eq!(room.denied(of(low)), None, "{low}");
            assert_eq!(room.denied(of(high)), DENIED, "{high}");
            room.powers(json!({ "users": {} }));
        }
    }
}
