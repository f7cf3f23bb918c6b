//! Tests of who may redact what, in every room version.

use serde_json::json;

use super::*;
use crate::{
    rules::Rules,
    test_room::{ALICE, BOB, Maker, Send, message, user},
};

#[test]
fn who_may_redact_what() {
    for rules in Rules::all() {
        let mut maker = Maker::new(rules.id);
        let mut tip = maker.room();
        for user in [BOB, "@bert:b.example", "@carol:c.example"] {
            maker.send(&mut tip, crate::test_room::member(user, user, "join")).unwrap();
        }
        let target = maker.send(&mut tip, message(BOB)).unwrap();
        let create = tip.get("m.room.create", "").unwrap().clone();
        let levels = tip.get("m.room.power_levels", "").unwrap().clone();
        let powers = Powers::of(&create, Some(&levels));
        let applies = |sender: &str, redacts: &Pdu| {
            let send = Send {
                sender,
                event_type: "m.room.redaction",
                state_key: None,
                content: json!({}),
            };
            let mut draft = Maker::draft(send);
            draft.redacts = Some(redacts.event_id().to_owned());
            let placement = maker.placement(&draft, &[], &tip.state);
            let redaction = maker.sign(&draft, &placement).pdu().clone();
            (may_apply(&redaction, &target, &powers), maker.check(&redaction, &tip.state).is_ok())
        };
        let by_rules = rules.authorization.special_case_room_redaction;
        assert_eq!(applies(ALICE, &target), (true, true));
        assert_eq!(applies("@bert:b.example", &target), (true, true));
        // In versions 1 and 2 the redaction itself is refused; later it is let in and not applied.
        assert_eq!(applies("@carol:c.example", &target), (by_rules, !by_rules));
        // Another event than the one it names.
        assert!(!applies(ALICE, &levels).0);
        assert!(powers.reaches(user(ALICE), Level::Redact));
    }
}

/// That nobody reaches into another room, whatever power they have in theirs.
#[test]
fn what_is_of_another_room_is_not_redacted() {
    for rules in Rules::all() {
        let mut here = Maker::new(rules.id);
        let tip = here.room();
        let mut there = Maker::new(rules.id);
        there.room_id = there.room_id.map(|_| "!other:a.example".try_into().unwrap());
        there.time += 1;
        let mut other = there.room();
        let target = there.send(&mut other, message(ALICE)).unwrap();
        let send = Send { event_type: "m.room.redaction", content: json!({}), ..message(ALICE) };
        let draft = crate::draft::Draft {
            redacts: Some(target.event_id().to_owned()),
            ..Maker::draft(send)
        };
        let applies = |maker: &Maker, tip: &crate::test_room::Tip| {
            let create = tip.get("m.room.create", "").unwrap();
            let powers = Powers::of(create, tip.get("m.room.power_levels", "").map(|pdu| &**pdu));
            let redaction = maker.sign(&draft, &maker.placement(&draft, &[], &tip.state));
            may_apply(redaction.pdu(), &target, &powers)
        };
        assert!(applies(&there, &other));
        assert!(!applies(&here, &tip), "version {}", rules.id);
    }
}
