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
