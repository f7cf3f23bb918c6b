//! The rules about membership.

use serde_json::{Value as Json, json};

use crate::{
    auth::{DeniedKind, auth_keys},
    rules::Rules,
    test_room::{ALICE, BOB, CAROL, DAVE, Maker, Tip, all, member, message, state_event},
};

#[test]
fn the_creator_joins_first_and_alone() {
    for rules in Rules::all() {
        let mut maker = Maker::new(rules.id);
        let mut tip = Tip::default();
        let mut content = json!({ "room_version": rules.id });
        if rules.creator_in_content() {
            content["creator"] = ALICE.into();
        }
        let create =
            maker.send(&mut tip, state_event(ALICE, "m.room.create", "", content)).unwrap();
        maker.room_id = Some(create.room_id().to_owned());
        let denied = maker.send(&mut tip.clone(), member(BOB, BOB, "join")).unwrap_err();
        assert_eq!(denied.kind, DeniedKind::JoinRule);
        let denied = maker.send(&mut tip.clone(), message(ALICE)).unwrap_err();
        assert_eq!(denied.kind, DeniedKind::NotJoined);
        maker.send(&mut tip, member(ALICE, ALICE, "join")).unwrap();
        maker.send(&mut tip, message(ALICE)).unwrap();
    }
}

#[test]
fn the_creator_comes_back_as_any_other() {
    for mut room in all() {
        let (create, last) =
            (room.tip.get("m.room.create", "").unwrap().clone(), room.tip.last.clone());
        room.join_rule(json!({ "join_rule": "invite" }));
        room.must(member(ALICE, ALICE, "leave"));
        let back = member(ALICE, ALICE, "join");
        assert_eq!(room.denied(back.clone()), Some(DeniedKind::JoinRule));
        let behind = room.maker.make(back.clone(), &[&create, &last.unwrap()], &room.tip.state);
        let denied = room.maker.check(&behind, &room.tip.state).unwrap_err();
        assert_eq!(denied.kind, DeniedKind::JoinRule);
        // Right behind the create event alone the creator is let in, nobody else.
        let first = room.maker.make(back, &[&create], &room.tip.state);
        room.maker.check(&first, &room.tip.state).unwrap();
        let dave = room.maker.make(member(DAVE, DAVE, "join"), &[&create], &room.tip.state);
        assert!(room.maker.check(&dave, &room.tip.state).is_err());
    }
}

#[test]
fn an_additional_creator_of_version_12_is_above_all_levels() {
    let mut maker = Maker::new("12");
    let mut tip = Tip::default();
    let content = json!({ "room_version": "12", "additional_creators": [BOB] });
    let create = maker.send(&mut tip, state_event(ALICE, "m.room.create", "", content)).unwrap();
    maker.room_id = Some(create.room_id().to_owned());
    maker.send(&mut tip, member(ALICE, ALICE, "join")).unwrap();
    maker.send(&mut tip, member(ALICE, BOB, "invite")).unwrap();
    // A creator is not let in by being one.
    let denied = maker.send(&mut tip.clone(), member(CAROL, CAROL, "join")).unwrap_err();
    assert_eq!(denied.kind, DeniedKind::JoinRule);
    maker.send(&mut tip, member(BOB, BOB, "join")).unwrap();
    let levels =
        json!({ "state_default": 9_007_199_254_740_991_i64, "ban": 9_007_199_254_740_991_i64 });
    maker.send(&mut tip, state_event(BOB, "m.room.power_levels", "", levels)).unwrap();
    maker.send(&mut tip, state_event(BOB, "m.room.topic", "", json!({ "topic": "t" }))).unwrap();
    // Creators cannot be named in the levels, nor thrown out by each other.
    for creator in [ALICE, BOB] {
        let levels = json!({ "users": { creator: 100 } });
        let send = state_event(ALICE, "m.room.power_levels", "", levels);
        assert_eq!(maker.send(&mut tip.clone(), send).unwrap_err().kind, DeniedKind::Power);
    }
    let denied = maker.send(&mut tip.clone(), member(ALICE, BOB, "ban")).unwrap_err();
    assert_eq!(denied.kind, DeniedKind::Power);
}

#[test]
fn only_who_is_joined_sends() {
    for mut room in all() {
        room.powers(json!({ "users": { DAVE: 50 } }));
        room.must(member(ALICE, DAVE, "invite"));
        let topic = |sender| state_event(sender, "m.room.topic", "", json!({ "topic": "t" }));
        assert_eq!(room.denied(message(DAVE)), Some(DeniedKind::NotJoined));
        assert_eq!(room.denied(topic(DAVE)), Some(DeniedKind::NotJoined));
        room.must(member(DAVE, DAVE, "join"));
        assert_eq!(room.denied(topic(DAVE)), None);
        room.must(member(DAVE, DAVE, "leave"));
        assert_eq!(room.denied(message(DAVE)), Some(DeniedKind::NotJoined));
        if room.maker.rules.knocking() {
            room.join_rule(json!({ "join_rule": "knock" }));
            room.must(member(DAVE, DAVE, "knock"));
            assert_eq!(room.denied(topic(DAVE)), Some(DeniedKind::NotJoined));
        }
    }
}

#[test]
fn public_and_invite_only_rooms() {
    for mut room in all() {
        assert_eq!(room.denied(member(DAVE, DAVE, "join")), None);
        // A room without join rules is for the invited.
        let without = room.tip.state.remove(&("m.room.join_rules".to_owned(), String::new()));
        assert_eq!(room.denied(member(DAVE, DAVE, "join")), Some(DeniedKind::JoinRule));
        let mut invited = room.tip.clone();
        room.maker.send(&mut invited, member(ALICE, DAVE, "invite")).unwrap();
        room.maker.send(&mut invited, member(DAVE, DAVE, "join")).unwrap();
        let rules = without.unwrap();
        room.tip.state.insert(("m.room.join_rules".to_owned(), String::new()), rules);

        room.join_rule(json!({ "join_rule": "invite" }));
        assert_eq!(room.denied(member(DAVE, DAVE, "join")), Some(DeniedKind::JoinRule));
        // Who is in may change their name.
        assert_eq!(room.denied(member(BOB, BOB, "join")), None);
        room.must(member(BOB, DAVE, "invite"));
        room.must(member(DAVE, DAVE, "join"));
        room.join_rule(json!({ "join_rule": "private" }));
        assert_eq!(
            room.denied(member("@e:b.example", "@e:b.example", "join")),
            Some(DeniedKind::JoinRule)
        );
    }
}

/// As Synapse reads it: what a room for the invited needs not be said.
#[test]
fn join_rules_without_a_rule_are_for_the_invited() {
    for mut room in all() {
        room.join_rule(json!({ "why": "not said" }));
        assert_eq!(room.denied(member(DAVE, DAVE, "join")), Some(DeniedKind::JoinRule));
        assert_eq!(room.denied(member(BOB, BOB, "join")), None);
        assert_eq!(room.denied(member(DAVE, DAVE, "knock")), Some(DeniedKind::JoinRule));
        room.must(member(ALICE, DAVE, "invite"));
        assert_eq!(room.denied(member(DAVE, DAVE, "join")), None);
        // A rule that is none is for nobody, not even those who are in.
        for rule in [json!(null), json!(1), json!({}), json!("Public"), json!("public ")] {
            room.join_rule(json!({ "join_rule": rule }));
            assert_eq!(room.denied(member(DAVE, DAVE, "join")), Some(DeniedKind::JoinRule));
            assert_eq!(room.denied(member(BOB, BOB, "join")), Some(DeniedKind::JoinRule));
        }
    }
}

#[test]
fn a_third_party_invite_that_is_none_is_no_ordinary_invite() {
    for mut room in all() {
        assert_eq!(room.denied(member(ALICE, DAVE, "invite")), None);
        for value in [json!(null), json!(false), json!("x"), json!([])] {
            let content = json!({ "membership": "invite", "third_party_invite": value });
            // Which other events would allow it can often not even be told.
            let draft = Maker::draft(state_event(ALICE, "m.room.member", DAVE, content.clone()));
            if auth_keys(&draft, room.maker.rules).is_err() {
                continue;
            }
            let invite = state_event(ALICE, "m.room.member", DAVE, content);
            assert_eq!(room.denied(invite), Some(DeniedKind::Malformed), "{value}");
        }
    }
}

#[test]
fn nobody_joins_for_another_nor_while_banned() {
    for mut room in all() {
        assert_eq!(room.denied(member(ALICE, DAVE, "join")), Some(DeniedKind::Membership));
        room.must(member(ALICE, BOB, "ban"));
        assert_eq!(room.denied(member(BOB, BOB, "join")), Some(DeniedKind::Banned));
        assert_eq!(room.denied(message(BOB)), Some(DeniedKind::Banned));
        assert_eq!(room.denied(member(ALICE, BOB, "invite")), Some(DeniedKind::Banned));
        // Bans are lifted by those who can ban and kick.
        assert_eq!(room.denied(member(CAROL, BOB, "leave")), Some(DeniedKind::Power));
        assert_eq!(room.denied(member(BOB, BOB, "leave")), Some(DeniedKind::Banned));
        room.must(member(ALICE, BOB, "leave"));
        assert_eq!(room.denied(member(BOB, BOB, "join")), None);
    }
}

#[test]
fn invites() {
    for mut room in all() {
        assert_eq!(
            room.denied(member(DAVE, "@e:b.example", "invite")),
            Some(DeniedKind::NotJoined)
        );
        assert_eq!(room.denied(member(ALICE, BOB, "invite")), Some(DeniedKind::Membership));
        room.powers(json!({ "invite": 50, "users": {} }));
        assert_eq!(room.denied(member(BOB, DAVE, "invite")), Some(DeniedKind::Power));
        room.must(member(ALICE, DAVE, "invite"));
        // An invite is declined, or taken back by those who can kick.
        assert_eq!(room.denied(member(DAVE, DAVE, "leave")), None);
        assert_eq!(room.denied(member(ALICE, DAVE, "leave")), None);
        assert_eq!(room.denied(member(BOB, DAVE, "leave")), Some(DeniedKind::Power));
    }
}

#[test]
fn kicks_and_bans_need_more_power_than_the_target_has() {
    for mut room in all() {
        room.powers(json!({ "users": { BOB: 50, CAROL: 50 } }));
        for act in ["leave", "ban"] {
            assert_eq!(room.denied(member(BOB, CAROL, act)), Some(DeniedKind::Power));
            assert_eq!(room.denied(member(BOB, ALICE, act)), Some(DeniedKind::Power));
            assert_eq!(room.denied(member(ALICE, BOB, act)), None);
            assert_eq!(room.denied(member(DAVE, BOB, act)), Some(DeniedKind::NotJoined));
        }
        assert_eq!(room.denied(member(BOB, DAVE, "ban")), None);
        assert_eq!(room.denied(member(DAVE, DAVE, "leave")), Some(DeniedKind::Membership));
    }
}

#[test]
fn kicks_and_bans_need_their_levels() {
    for mut room in all() {
        // Power alone does not let in.
        room.powers(json!({ "users": { DAVE: 90 } }));
        for act in ["leave", "ban"] {
            assert_eq!(room.denied(member(DAVE, BOB, act)), Some(DeniedKind::NotJoined));
        }
        for (level, may_kick, may_ban) in [(39, false, false), (40, true, false), (60, true, true)]
        {
            room.powers(json!({ "kick": 40, "ban": 60, "users": { BOB: level } }));
            assert_eq!(room.denied(member(BOB, CAROL, "leave")).is_none(), may_kick, "{level}");
            assert_eq!(room.denied(member(BOB, CAROL, "ban")).is_none(), may_ban, "{level}");
            let mut banned = room.tip.clone();
            room.maker.send(&mut banned, member(ALICE, CAROL, "ban")).unwrap();
            let unban = room.maker.send(&mut banned, member(BOB, CAROL, "leave"));
            assert_eq!(unban.is_ok(), may_ban, "{level}");
        }
        // Who may ban but not kick cannot take a ban back.
        room.powers(json!({ "kick": 60, "ban": 40, "users": { BOB: 50 } }));
        room.must(member(BOB, CAROL, "ban"));
        assert_eq!(room.denied(member(BOB, CAROL, "leave")), Some(DeniedKind::Power));
    }
}

#[test]
fn knocking() {
    for mut room in all() {
        let rules = room.maker.rules;
        assert_eq!(room.denied(member(DAVE, DAVE, "knock")), Some(DeniedKind::JoinRule));
        room.join_rule(json!({ "join_rule": "knock" }));
        let knock = room.denied(member(DAVE, DAVE, "knock"));
        assert_eq!(knock.is_none(), rules.knocking(), "version {}", rules.id);
        assert!(room.denied(member(DAVE, DAVE, "join")).is_some());
        // Where the rule is not known, it keeps even those out who are in.
        assert_eq!(room.denied(member(BOB, BOB, "join")).is_none(), rules.knocking());
        if !rules.knocking() {
            continue;
        }
        let eve = "@e:b.example";
        assert_eq!(room.denied(member(eve, DAVE, "knock")), Some(DeniedKind::Membership));
        for act in ["invite", "ban"] {
            let before = room.tip.clone();
            room.must(member(ALICE, DAVE, act));
            assert!(room.denied(member(DAVE, DAVE, "knock")).is_some(), "{act}");
            room.tip = before;
        }
        assert_eq!(room.denied(member(ALICE, DAVE, "knock")), Some(DeniedKind::Membership));
        assert_eq!(room.denied(member(BOB, BOB, "knock")), Some(DeniedKind::Membership));
        room.must(member(DAVE, DAVE, "knock"));
        assert_eq!(room.denied(member(DAVE, DAVE, "leave")), None);
        room.must(member(ALICE, DAVE, "invite"));
        room.must(member(DAVE, DAVE, "join"));
        room.join_rule(json!({ "join_rule": "knock_restricted", "allow": [] }));
        let knock = room.denied(member("@e:b.example", "@e:b.example", "knock"));
        assert_eq!(knock.is_none(), rules.knock_restricted_joins());
    }
}

#[test]
fn restricted_joins() {
    let by = |user: &str| {
        let content = json!({ "membership": "join", "join_authorised_via_users_server": user });
        state_event(DAVE, "m.room.member", DAVE, content)
    };
    for mut room in all() {
        let rules = room.maker.rules;
        room.powers(json!({ "invite": 50, "users": { CAROL: 50, "@f:a.example": 50 } }));
        for (rule, known) in [
            ("restricted", rules.restricted_joins()),
            ("knock_restricted", rules.knock_restricted_joins()),
        ] {
            room.join_rule(json!({ "join_rule": rule, "allow": [] }));
            assert_eq!(room.denied(member(DAVE, DAVE, "join")), Some(DeniedKind::JoinRule));
            // Carol can invite, Bob cannot, and a stranger is not even in the room.
            assert_eq!(room.denied(by(CAROL)).is_none(), known, "{rule} in {}", rules.id);
            assert_eq!(room.denied(by(BOB)), Some(DeniedKind::JoinRule));
            assert_eq!(room.denied(by("@e:a.example")), Some(DeniedKind::JoinRule));
            assert_eq!(room.denied(by("@f:a.example")), Some(DeniedKind::JoinRule));
            assert_eq!(room.denied(member(BOB, BOB, "join")).is_none(), known);
            if known {
                let mut invited = room.tip.clone();
                room.maker.send(&mut invited, member(ALICE, DAVE, "invite")).unwrap();
                room.maker.send(&mut invited, member(DAVE, DAVE, "join")).unwrap();
            }
        }
    }
}

#[test]
fn rooms_that_are_not_federated() {
    for rules in Rules::all() {
        let mut maker = Maker::new(rules.id);
        let mut tip = Tip::default();
        let mut content = json!({ "room_version": rules.id, "m.federate": false });
        if rules.creator_in_content() {
            content["creator"] = ALICE.into();
        }
        let create =
            maker.send(&mut tip, state_event(ALICE, "m.room.create", "", content)).unwrap();
        maker.room_id = Some(create.room_id().to_owned());
        maker.send(&mut tip, member(ALICE, ALICE, "join")).unwrap();
        let open = json!({ "join_rule": "public" });
        maker.send(&mut tip, state_event(ALICE, "m.room.join_rules", "", open)).unwrap();
        let denied = maker.send(&mut tip.clone(), member(BOB, BOB, "join")).unwrap_err();
        assert_eq!(denied.kind, DeniedKind::NotFederated);
        let near = "@near:a.example";
        maker.send(&mut tip, member(near, near, "join")).unwrap();
    }
}

#[test]
fn malformed_memberships() {
    for mut room in all() {
        let strange = state_event(DAVE, "m.room.member", DAVE, json!({ "membership": "dance" }));
        assert_eq!(room.denied(strange), Some(DeniedKind::Malformed));
        let nobody = state_event(DAVE, "m.room.member", "dave", json!({ "membership": "join" }));
        assert_eq!(room.denied(nobody), Some(DeniedKind::Malformed));
        let draft = Maker::draft(state_event(DAVE, "m.room.member", DAVE, json!({})));
        let error = auth_keys(&draft, room.maker.rules).unwrap_err();
        assert_eq!(error.kind, DeniedKind::Malformed);
    }
}

#[test]
fn third_party_invites_need_a_signature_of_the_named_key() {
    let key = crate::signing::SigningKey::parse(crate::test_room::SEED_LINE).unwrap();
    for mut room in all() {
        let content = json!({ "public_key": key.public_key(), "key_validity_url": "https://x",
            "display_name": "d" });
        room.must(state_event(ALICE, "m.room.third_party_invite", "token", content));
        let signed = json!({ "mxid": DAVE, "token": "token" }).to_string();
        let id = ruma::server_name!("id.example");
        let signed = crate::signing::sign_object(&signed, id, &key).unwrap();
        let signed: Json = serde_json::from_str(&signed).unwrap();
        let mut invite = |sender: &str, signed: Json| {
            let third = json!({ "display_name": "d", "signed": signed });
            let content = json!({ "membership": "invite", "third_party_invite": third });
            room.denied(state_event(sender, "m.room.member", DAVE, content))
        };
        assert_eq!(invite(ALICE, signed.clone()), None);
        assert_eq!(invite(BOB, signed.clone()), Some(DeniedKind::Other));
        // Signed for another user, and for one who is banned.
        let for_other = json!({ "mxid": CAROL, "token": "token" }).to_string();
        let for_other = crate::signing::sign_object(&for_other, id, &key).unwrap();
        let for_other: Json = serde_json::from_str(&for_other).unwrap();
        assert_eq!(invite(ALICE, for_other), Some(DeniedKind::Other));
        let mut forged = signed.clone();
        forged["mxid"] = BOB.into();
        assert_eq!(invite(ALICE, forged), Some(DeniedKind::Other));
        let mut forged = signed.clone();
        forged["more"] = 1.into();
        assert_eq!(invite(ALICE, forged), Some(DeniedKind::Other));
        room.must(member(ALICE, DAVE, "ban"));
        let third = json!({ "display_name": "d", "signed": signed });
        let content = json!({ "membership": "invite", "third_party_invite": third });
        let invite = state_event(ALICE, "m.room.member", DAVE, content);
        assert_eq!(room.denied(invite), Some(DeniedKind::Banned));
    }
}

/// The list beside `public_key`, with it and without it.
#[test]
fn third_party_invites_may_name_several_keys() {
    let key = crate::signing::SigningKey::parse(crate::test_room::SEED_LINE).unwrap();
    let other = crate::signing::SigningKey::generate(&crate::test_room::Counting::new());
    let signed = json!({ "mxid": DAVE, "token": "token" }).to_string();
    let id = ruma::server_name!("id.example");
    let signed = crate::signing::sign_object(&signed, id, &key).unwrap();
    let signed: Json = serde_json::from_str(&signed).unwrap();
    let (key, other) = (key.public_key(), other.public_key());
    for mut room in all() {
        for (keys, is_named) in [
            (json!({ "public_key": other, "public_keys": [{ "public_key": key }] }), true),
            (json!({ "public_keys": [{ "public_key": other }, { "public_key": key }] }), true),
            (json!({ "public_key": key, "public_keys": [{ "public_key": other }] }), true),
            (json!({ "public_key": other, "public_keys": [{ "public_key": other }] }), false),
            (json!({}), false),
        ] {
            room.must(state_event(ALICE, "m.room.third_party_invite", "token", keys.clone()));
            let third = json!({ "display_name": "d", "signed": signed });
            let content = json!({ "membership": "invite", "third_party_invite": third });
            let invite = state_event(ALICE, "m.room.member", DAVE, content);
            let expected = if is_named { None } else { Some(DeniedKind::Other) };
            assert_eq!(room.denied(invite), expected, "{keys}");
        }
    }
}
