//! Tests of the authorization rules, room version by room version.

use serde_json::{Value as Json, json};

use super::*;
use crate::test_room::{
    ALICE, BOB, CAROL, DAVE, Maker, Room, Send, State, all, member, message, state_event, user,
};

#[test]
fn auth_events_of_every_kind() {
    for rules in Rules::all() {
        let keys = |send: Send<'_>| {
            let keys = auth_keys(&Maker::draft(send), rules).unwrap();
            let text = |(kind, key): (StateEventType, String)| format!("{kind}/{key}");
            let mut keys: Vec<_> = keys.into_iter().map(text).collect();
            keys.sort();
            keys.into_iter().map(|key| key.replace("m.room.", "")).collect::<Vec<_>>().join(" ")
        };
        let create = if rules.room_id_is_create_event() { "" } else { "create/ " };
        let expected = |rest: &str| format!("{create}{rest}");
        assert_eq!(keys(state_event(ALICE, "m.room.create", "", json!({}))), "");
        let common = "member/@alice:a.example power_levels/";
        assert_eq!(keys(message(ALICE)), expected(common));
        let join = format!("join_rules/ {common}");
        assert_eq!(keys(member(ALICE, ALICE, "join")), expected(&join));
        assert_eq!(keys(member(ALICE, ALICE, "leave")), expected(common));
        let both = "member/@alice:a.example member/@bob:b.example power_levels/";
        assert_eq!(keys(member(ALICE, BOB, "ban")), expected(both));
        assert_eq!(keys(member(ALICE, BOB, "invite")), expected(&format!("join_rules/ {both}")));
        let third =
            json!({"membership": "invite", "third_party_invite": {"signed": {"token": "t"}}});
        let third = keys(state_event(ALICE, "m.room.member", BOB, third));
        assert_eq!(third, expected(&format!("join_rules/ {both} third_party_invite/t")));
        let by = json!({"membership": "join", "join_authorised_via_users_server": BOB});
        let by = keys(state_event(ALICE, "m.room.member", ALICE, by));
        let with = if rules.restricted_joins() { both } else { common };
        assert_eq!(by, expected(&format!("join_rules/ {with}")));
        // Neither counts for another membership.
        let more = json!({"membership": "leave", "join_authorised_via_users_server": BOB,
            "third_party_invite": {"signed": {"token": "t"}}});
        let more = keys(state_event(ALICE, "m.room.member", ALICE, more));
        assert_eq!(more, expected(common));
    }
}

#[test]
fn the_create_event_is_always_needed() {
    for room in all() {
        let pdu = room.tip.last.clone().unwrap();
        let needed = needed_keys(&pdu).unwrap();
        let create = (StateEventType::RoomCreate, String::new());
        assert_eq!(needed.iter().filter(|key| **key == create).count(), 1);
        assert!(needed.len() >= auth_keys_of(&pdu).unwrap().len());
    }
}

fn raw(json: &str) -> Box<serde_json::value::RawValue> {
    serde_json::from_str(json).unwrap()
}

fn create(version: &str, sender: &str, content: Json) -> Result<(), Denied> {
    let mut maker = Maker::new(version);
    let pdu = maker.make(state_event(sender, "m.room.create", "", content), &[], &State::new());
    maker.check(&pdu, &State::new())
}

#[test]
fn create_events() {
    for rules in Rules::all() {
        let mut content = json!({ "room_version": rules.id });
        if rules.creator_in_content() {
            let error = create(rules.id, ALICE, content.clone()).unwrap_err();
            assert_eq!(error.kind, DeniedKind::Malformed);
            content["creator"] = ALICE.into();
        }
        create(rules.id, ALICE, content.clone()).unwrap();
        // The room's id is of the sender's server, as far as it names one.
        let elsewhere = create(rules.id, BOB, content.clone());
        assert_eq!(elsewhere.is_ok(), rules.room_id_is_create_event());
        // Another version than the one whose rules are applied.
        content["room_version"] = "77".into();
        assert_eq!(
            create(rules.id, ALICE, content.clone()).unwrap_err().kind,
            DeniedKind::Malformed
        );
        content.as_object_mut().unwrap().remove("room_version");
        assert_eq!(create(rules.id, ALICE, content).is_ok(), rules.id == "1");
    }
    let creators = |list: Json| {
        create("12", ALICE, json!({ "room_version": "12", "additional_creators": list })).is_ok()
    };
    assert!(creators(json!([BOB, CAROL])));
    assert!(!creators(json!(BOB)));
    assert!(!creators(json!(["bob"])));
    assert!(!creators(json!([1])));
}

#[test]
fn a_second_create_event_is_refused() {
    for mut room in all() {
        let mut content = json!({ "room_version": room.maker.rules.id, "creator": ALICE });
        content["again"] = true.into();
        let prev = room.tip.last.clone().unwrap();
        room.maker.room_id = room.maker.room_id.take().filter(|_| room.maker.rules.id != "12");
        let again = state_event(ALICE, "m.room.create", "", content);
        let pdu = room.maker.make(again, &[&prev], &room.tip.state);
        let error = room.maker.check(&pdu, &room.tip.state).unwrap_err();
        assert_eq!(error.kind, DeniedKind::Malformed);
    }
}

#[test]
fn the_list_of_auth_events_is_checked() {
    for room in all() {
        let rules = room.maker.rules;
        let draft = Maker::draft(message(BOB));
        let prev = room.tip.last.clone().unwrap();
        let good = room.maker.placement(&draft, &[&prev], &room.tip.state);
        let check = |change: &dyn Fn(&mut crate::draft::Placement), rejected: Option<&EventId>| {
            let mut placement = good.clone();
            change(&mut placement);
            let pdu = room.maker.sign(&draft, &placement).into_own().into_pdu();
            let find = |event_id: &EventId| {
                let known = room.maker.find(event_id)?;
                Some(Known { rejected: rejected == Some(event_id), ..known })
            };
            check_auth_events(&pdu, find).err().map(|denied| denied.kind)
        };
        let wrong = Some(DeniedKind::AuthEvents);
        assert_eq!(check(&|_| {}, None), None);
        // Twice the same.
        assert_eq!(
            check(&|place| place.auth_events.push(good.auth_events[0].clone()), None),
            wrong
        );
        // One that the selection does not give.
        let other = crate::draft::Reference::from(&**room.tip.get("m.room.member", CAROL).unwrap());
        assert_eq!(check(&|place| place.auth_events.push(other.clone()), None), wrong);
        // One that nobody knows.
        let mut unknown = other.clone();
        unknown.event_id = "$unknown:a.example".try_into().unwrap();
        assert_eq!(check(&|place| place.auth_events.push(unknown.clone()), None), wrong);
        // One that was rejected.
        let levels = room.tip.get("m.room.power_levels", "").unwrap().event_id();
        assert_eq!(check(&|_| {}, Some(levels)), wrong);
        // The create event: named up to version 11, implied and not to be named in version 12.
        let create = room.tip.get("m.room.create", "").unwrap();
        assert_eq!(check(&|_| {}, Some(create.event_id())), wrong);
        let named = crate::draft::Reference::from(&**create);
        let without = check(&|place| place.auth_events.retain(|auth| *auth != named), None);
        let with = check(
            &|place| {
                if !place.auth_events.contains(&named) {
                    place.auth_events.push(named.clone());
                }
            },
            None,
        );
        let expected = if rules.room_id_is_create_event() { (None, wrong) } else { (wrong, None) };
        assert_eq!((without, with), expected, "version {}", rules.id);
    }
}

#[test]
fn auth_events_are_state_of_a_known_room() {
    for room in all() {
        let draft = Maker::draft(message(BOB));
        let prev = room.tip.last.clone().unwrap();
        let good = room.maker.placement(&draft, &[&prev], &room.tip.state);
        // One that is no state, though its type is that of one.
        let mut said = draft.clone();
        (said.event_type, said.content) = ("m.room.power_levels".into(), raw("{}"));
        let said = room.maker.sign(&said, &good).into_own().into_pdu();
        let stateless = |event_id: &EventId| {
            let said = Some(Known { pdu: said.clone(), rejected: false });
            said.filter(|said| said.pdu.event_id() == event_id).or(room.maker.find(event_id))
        };
        let mut placement = good.clone();
        placement.auth_events.retain(|auth| {
            room.tip.get("m.room.power_levels", "").unwrap().event_id() != auth.event_id
        });
        placement.auth_events.push(crate::draft::Reference::from(&*said));
        let pdu = room.maker.sign(&draft, &placement).into_own().into_pdu();
        assert_eq!(check_auth_events(&pdu, stateless).unwrap_err().kind, DeniedKind::AuthEvents);
        // A room that nobody knows.
        let create = room.tip.get("m.room.create", "").unwrap().event_id();
        let pdu = room.maker.sign(&draft, &good).into_own().into_pdu();
        let unknown =
            |id: &EventId| room.maker.find(id).filter(|known| known.pdu.event_id() != create);
        assert_eq!(check_auth_events(&pdu, unknown).unwrap_err().kind, DeniedKind::AuthEvents);
    }
}

#[test]
fn auth_events_of_another_room_are_refused() {
    for mut room in all() {
        room.maker.room_id = Some("!other:a.example".try_into().unwrap());
        let prev = room.tip.last.clone().unwrap();
        let pdu = room.maker.make(message(BOB), &[&prev], &room.tip.state);
        let error = check_auth_events(&pdu, |event_id| room.maker.find(event_id)).unwrap_err();
        assert_eq!(error.kind, DeniedKind::AuthEvents);
    }
}

#[test]
fn events_need_their_level() {
    for mut room in all() {
        assert_eq!(room.denied(message(BOB)), None);
        assert_eq!(room.denied(message(DAVE)), Some(DeniedKind::NotJoined));
        let topic = |sender| state_event(sender, "m.room.topic", "", json!({ "topic": "t" }));
        assert_eq!(room.denied(topic(BOB)), Some(DeniedKind::Power));
        room.powers(json!({ "events": { "m.room.topic": 10, "m.room.message": 20 },
            "users": { BOB: 10 } }));
        assert_eq!(room.denied(topic(BOB)), None);
        assert_eq!(room.denied(topic(CAROL)), Some(DeniedKind::Power));
        assert_eq!(room.denied(message(BOB)), Some(DeniedKind::Power));
        // A state key that is a user id is that user's alone.
        let of = |key: &'static str| state_event(ALICE, "m.custom", key, json!({}));
        assert_eq!(room.denied(of(BOB)), Some(DeniedKind::Other));
        assert_eq!(room.denied(of(ALICE)), None);
        assert_eq!(room.denied(of("bob")), None);
        let invite = state_event(CAROL, "m.room.third_party_invite", "t", json!({}));
        assert_eq!(room.denied(invite.clone()), None);
        room.powers(json!({ "invite": 1, "users": {} }));
        assert_eq!(room.denied(invite), Some(DeniedKind::Power));
    }
}

#[test]
fn nobody_gives_or_takes_more_power_than_they_have() {
    for mut room in all() {
        room.powers(json!({ "users": { BOB: 50, CAROL: 40 }, "events": { "m.x": 60 }, "ban": 60 }));
        let base = room.tip.get("m.room.power_levels", "").unwrap();
        let base: Json = serde_json::from_str(base.content()).unwrap();
        let mut change = |path: &[&str], value: Json| {
            let mut content = base.clone();
            let mut place = &mut content;
            for step in path {
                place = &mut place[*step];
            }
            *place = value;
            room.denied(state_event(BOB, "m.room.power_levels", "", content))
        };
        let denied = Some(DeniedKind::Power);
        assert_eq!(change(&["users", CAROL], 50.into()), None);
        assert_eq!(change(&["users", CAROL], 51.into()), denied);
        assert_eq!(change(&["users", DAVE], 50.into()), None);
        assert_eq!(change(&["users", DAVE], 51.into()), denied);
        assert_eq!(change(&["users", BOB], 49.into()), None);
        assert_eq!(change(&["users", BOB], 51.into()), denied);
        assert_eq!(change(&["events", "m.x"], 50.into()), denied);
        assert_eq!(change(&["events", "m.y"], 50.into()), None);
        assert_eq!(change(&["ban"], 50.into()), denied);
        assert_eq!(change(&["kick"], 51.into()), denied);
        assert_eq!(change(&["kick"], 49.into()), None);
        assert_eq!(change(&["users_default"], 51.into()), denied);
        // What is taken out counts as what it was, or was by default.
        for (field, key, allowed) in [
            ("events", "m.x", false),
            ("users", BOB, true),
            ("users", CAROL, true),
            ("ban", "", false),
        ] {
            let mut content = base.clone();
            let fields = content.as_object_mut().unwrap();
            match fields.get_mut(field).and_then(Json::as_object_mut) {
                Some(map) => map.remove(key),
                None => fields.remove(field),
            };
            let taken = room.denied(state_event(BOB, "m.room.power_levels", "", content));
            assert_eq!(taken.is_none(), allowed, "{field} {key}");
        }
        // Levels of notifications are looked at from version 6 on.
        let from_6 = room.maker.rules.authorization.limit_notifications_power_levels;
        let mut content = base.clone();
        content["notifications"] = json!({ "room": 51 });
        let notifications = room.denied(state_event(BOB, "m.room.power_levels", "", content));
        assert_eq!(notifications.is_some(), from_6);
    }
}

#[test]
fn equals_cannot_demote_each_other() {
    for mut room in all() {
        room.powers(json!({ "users": { BOB: 50, CAROL: 50 } }));
        let base = room.tip.get("m.room.power_levels", "").unwrap();
        let mut content: Json = serde_json::from_str(base.content()).unwrap();
        content["users"][CAROL] = 0.into();
        let demote = state_event(BOB, "m.room.power_levels", "", content);
        assert_eq!(room.denied(demote), Some(DeniedKind::Power));
    }
}

#[test]
fn levels_are_integers_from_version_10() {
    for mut room in all() {
        let strict = room.maker.rules.authorization.integer_power_levels;
        let mut levels = |mut content: Json| {
            if !room.maker.rules.privileged_creators() {
                content["users"][ALICE] = 100.into();
            }
            room.denied(state_event(ALICE, "m.room.power_levels", "", content))
        };
        let expected = strict.then_some(DeniedKind::Malformed);
        assert_eq!(levels(json!({ "users": {}, "ban": "50" })), expected);
        assert_eq!(levels(json!({ "users": { BOB: " +10 " } })), expected);
        assert_eq!(levels(json!({ "users": {}, "events": { "m.x": "1" } })), expected);
        let never = Some(DeniedKind::Malformed);
        assert_eq!(levels(json!({ "users": {}, "ban": "x" })).is_some(), never.is_some());
        assert_eq!(levels(json!({ "users": { BOB: null } })), never);
        assert_eq!(levels(json!({ "users": {}, "events": [] })), never);
        assert!(levels(json!({ "users": { "bob": 1 } })).is_some());
    }
}

/// Power levels that are floats count in room versions 1 to 5, cut at the point.
#[test]
fn float_levels_of_old_rooms() {
    for version in ["1", "2", "3", "4", "5"] {
        let rules = Rules::of(version).unwrap();
        let mut room = Room::new(version);
        room.powers(json!({ "users": { BOB: 50 }, "events": { "m.x": 50 } }));
        let levels = room.tip.get("m.room.power_levels", "").unwrap().json();
        for (level, allowed) in [("50.57", true), ("49.99", false), ("5.1E1", true)] {
            let text =
                levels.replace("\"@bob:b.example\":50", &format!("\"@bob:b.example\":{level}"));
            let pdu = Arc::new(Pdu::parse(&text, rules).unwrap());
            let mut tip = room.tip.clone();
            tip.apply(&pdu);
            room.maker.keep(&pdu);
            let send = state_event(BOB, "m.x", "", json!({}));
            assert_eq!(room.maker.send(&mut tip, send).is_ok(), allowed, "{level} in {version}");
        }
    }
}

#[test]
fn aliases_are_special_up_to_version_5() {
    for mut room in all() {
        let special = room.maker.rules.authorization.special_case_room_aliases;
        let aliases = |key| state_event(BOB, "m.room.aliases", key, json!({ "aliases": [] }));
        // Bob has no power over state, but over the aliases of his server.
        assert_eq!(room.denied(aliases("b.example")).is_none(), special);
        assert!(room.denied(aliases("a.example")).is_some());
        let no_state = Send { state_key: None, ..aliases("b.example") };
        assert_eq!(room.denied(no_state).is_some(), special);
        // Not even a stranger needs more.
        let stranger = Send { sender: DAVE, ..aliases("b.example") };
        assert_eq!(room.denied(stranger).is_none(), special);
    }
}

/// Up to version 2 a redaction is of one's own server's events, or needs the level.
#[test]
fn redactions_are_special_up_to_version_2() {
    for room in all() {
        let special = room.maker.rules.authorization.special_case_room_redaction;
        let prev = room.tip.last.clone().unwrap();
        let redacts = |sender: &'static str, id: &str| {
            let send =
                Send { event_type: "m.room.redaction", content: json!({}), ..message(sender) };
            let redacts = Some(id.try_into().unwrap());
            let draft = Draft { redacts, ..Maker::draft(send) };
            let placement = room.maker.placement(&draft, &[&prev], &room.tip.state);
            let pdu = room.maker.sign(&draft, &placement).into_own().into_pdu();
            room.maker.check(&pdu, &room.tip.state).is_ok()
        };
        assert!(redacts(BOB, "$his:b.example") && redacts(ALICE, "$his:b.example"));
        assert_eq!(redacts(BOB, "$hers:a.example"), !special);
    }
}

/// Up to version 10 the content names the creator, later it is who sends the create event.
#[test]
fn who_made_the_room() {
    for rules in Rules::all() {
        let mut maker = Maker::new(rules.id);
        let mut tip = crate::test_room::Tip::default();
        let other = "@other:a.example";
        let content = json!({ "room_version": rules.id, "creator": other });
        let create = state_event(ALICE, "m.room.create", "", content);
        let create = maker.send(&mut tip, create).unwrap();
        maker.room_id = Some(create.room_id().to_owned());
        for (user, is_creator) in
            [(other, rules.creator_in_content()), (ALICE, !rules.creator_in_content())]
        {
            let joined = maker.send(&mut tip.clone(), member(user, user, "join"));
            assert_eq!(joined.is_ok(), is_creator, "{user} in {}", rules.id);
        }
    }
}

#[test]
fn authorization_gives_the_denied_event_back() {
    for mut room in all() {
        let prev = room.tip.last.clone().unwrap();
        let authorize = |room: &Room, pdu: &Arc<Pdu>, state: &State| {
            let verified = VerifiedPdu::trusted((**pdu).clone());
            verified.authorize(
                |event_id| room.maker.find(event_id),
                |event_type, key| state.get(&(event_type.to_owned(), key.to_owned())).cloned(),
            )
        };
        let pdu = room.maker.make(message(BOB), &[&prev], &room.tip.state);
        let before = room.tip.state.clone();
        assert_eq!(authorize(&room, &pdu, &before).unwrap().pdu().event_id(), pdu.event_id());
        // Its auth events allow it, the state before it does not.
        room.must(member(ALICE, BOB, "ban"));
        let rejected = authorize(&room, &pdu, &room.tip.state).unwrap_err();
        assert_eq!(rejected.denied.kind, DeniedKind::Banned);
        assert_eq!(rejected.pdu.event_id(), pdu.event_id());
        // And the other way round.
        let pdu = room.maker.make(message(BOB), &[&prev], &room.tip.state);
        assert_eq!(authorize(&room, &pdu, &before).unwrap_err().denied.kind, DeniedKind::Banned);
        assert_eq!(user(BOB), pdu.sender());
    }
}

#[test]
fn a_state_without_a_create_event_is_no_room() {
    for room in all() {
        let pdu = room.tip.last.clone().unwrap();
        let error = check_state(&pdu, |_, _| None).unwrap_err();
        assert_eq!(error.kind, DeniedKind::NoRoom);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn our_own_events_are_checked_against_the_state_alone() {
    for mut room in all() {
        let prev = room.tip.last.clone().unwrap();
        let authorize = |pdu: &Arc<Pdu>, state: &State| {
            VerifiedPdu::trusted((**pdu).clone()).authorize_own(|event_type, key| {
                state.get(&(event_type.to_owned(), key.to_owned())).cloned()
            })
        };
        let pdu = room.maker.make(message(BOB), &[&prev], &room.tip.state);
        assert!(authorize(&pdu, &room.tip.state).is_ok());
        let pdu = room.maker.make(message(DAVE), &[&prev], &room.tip.state);
        let rejected = authorize(&pdu, &room.tip.state).unwrap_err();
        assert_eq!(rejected.denied.kind, DeniedKind::NotJoined);
        // A create event is checked in full.
        let create = room.tip.get("m.room.create", "").unwrap();
        assert!(authorize(create, &State::new()).is_ok());
        let bad = state_event(ALICE, "m.room.create", "", json!({ "room_version": "x" }));
        let named = room.maker.room_id.take().filter(|_| room.maker.rules.id != "12");
        room.maker.room_id = named;
        let pdu = room.maker.make(bad, &[], &State::new());
        let rejected = authorize(&pdu, &State::new()).unwrap_err();
        assert_eq!(rejected.denied.kind, DeniedKind::Malformed);
    }
}
