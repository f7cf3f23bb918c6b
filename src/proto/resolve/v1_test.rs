//! Version 1, on cases made by hand from the specification's words.

use std::collections::BTreeMap;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use super::*;
use crate::{
    test_room::{ALICE, BOB, CAROL, Maker, Send, State, Tip, member, message, state_event},
    test_source::Memory,
};

struct Room {
    maker: Maker,
    memory: Memory,
    base: Tip,
}

impl Room {
    fn new() -> Room {
        let mut maker = Maker::new("1");
        let mut base = maker.room();
        for user in [BOB, CAROL] {
            maker.send(&mut base, member(user, user, "join")).unwrap();
        }
        let mut memory = Memory::default();
        let by_depth: BTreeMap<u64, _> =
            maker.events.values().map(|pdu| (pdu.depth(), pdu.clone())).collect();
        for pdu in by_depth.values() {
            memory.add(pdu);
        }
        Room { maker, memory, base }
    }

    fn send(&mut self, tip: &mut Tip, send: Send<'_>) -> Arc<Pdu> {
        let pdu = self.maker.send(tip, send).unwrap();
        self.memory.add(&pdu);
        pdu
    }

    /// A branch that is this much deeper than another one.
    fn branch(&mut self, messages: usize) -> Tip {
        let mut tip = self.base.clone();
        for _ in 0..messages {
            self.maker.send(&mut tip, message(ALICE)).unwrap();
        }
        tip
    }

    fn resolve(&mut self, tips: &[&Tip]) -> State {
        let states: Vec<_> = tips.iter().map(|tip| self.memory.state(tip.state.values())).collect();
        let state = resolve(self.maker.rules, &states, &mut self.memory).unwrap();
        let backwards: Vec<_> = states.iter().rev().cloned().collect();
        assert_eq!(state, resolve(self.maker.rules, &backwards, &mut self.memory).unwrap());
        let entry = |number: &EventNumber| {
            let pdu = self.memory.get(*number).pdu.clone();
            ((pdu.type_str().to_owned(), pdu.state_key().unwrap().to_owned()), pdu)
        };
        state.values().map(entry).collect()
    }
}

fn at<'a>(state: &'a State, event_type: &str, state_key: &str) -> &'a Pdu {
    &state[&(event_type.to_owned(), state_key.to_owned())]
}

fn topic(text: &str) -> Send<'_> {
    state_event(ALICE, "m.room.topic", "", json!({ "topic": text }))
}

fn powers(bob: i64) -> Send<'static> {
    let users = json!({ ALICE: 100, BOB: bob });
    state_event(ALICE, "m.room.power_levels", "", json!({ "users": users }))
}

#[test]
fn a_key_that_one_state_lacks_is_not_in_conflict() {
    let mut room = Room::new();
    let (mut here, mut there) = (room.branch(0), room.branch(0));
    let name = state_event(ALICE, "m.room.name", "", json!({ "name": "n" }));
    let name = room.send(&mut here, name);
    let topic = room.send(&mut there, topic("t"));
    let state = room.resolve(&[&here, &there]);
    assert_eq!(at(&state, "m.room.name", "").event_id(), name.event_id());
    assert_eq!(at(&state, "m.room.topic", "").event_id(), topic.event_id());
    assert_eq!(state.len(), room.base.state.len() + 2);
}

#[test]
fn of_other_events_the_deepest_wins() {
    let mut room = Room::new();
    let (mut here, mut there) = (room.branch(3), room.branch(0));
    let deep = room.send(&mut here, topic("deep, sent first"));
    room.send(&mut there, topic("shallow, sent last"));
    let state = room.resolve(&[&here, &there]);
    assert_eq!(at(&state, "m.room.topic", "").event_id(), deep.event_id());
}

#[test]
fn of_equal_depth_the_lowest_sha1_wins() {
    for _ in 0..8 {
        let mut room = Room::new();
        let mut ids = Vec::new();
        let mut tips = Vec::new();
        for text in ["a", "b", "c"] {
            let mut tip = room.branch(0);
            ids.push(room.send(&mut tip, topic(text)).event_id().to_owned());
            tips.push(tip);
        }
        ids.sort_by_key(|id| digest(&SHA1_FOR_LEGACY_USE_ONLY, id.as_bytes()).as_ref().to_vec());
        let state = room.resolve(&tips.iter().collect::<Vec<_>>());
        assert_eq!(at(&state, "m.room.topic", "").event_id(), ids[0]);
    }
}

#[test]
fn a_ban_wins_whether_it_is_deeper_or_not() {
    for (ban_depth, join_depth) in [(0, 3), (3, 0), (0, 0)] {
        let mut room = Room::new();
        let (mut here, mut there) = (room.branch(ban_depth), room.branch(join_depth));
        let ban = room.send(&mut here, member(ALICE, BOB, "ban"));
        let again = json!({ "membership": "join", "displayname": "B" });
        room.send(&mut there, state_event(BOB, "m.room.member", BOB, again));
        let state = room.resolve(&[&here, &there]);
        assert_eq!(at(&state, "m.room.member", BOB).event_id(), ban.event_id());
    }
}

#[test]
fn power_levels_follow_each_other_while_each_allows_the_next() {
    let mut room = Room::new();
    let (mut here, mut there) = (room.branch(0), room.branch(2));
    room.send(&mut here, powers(50));
    let deeper = room.send(&mut there, powers(30));
    let state = room.resolve(&[&here, &there]);
    assert_eq!(at(&state, "m.room.power_levels", "").event_id(), deeper.event_id());
}

#[test]
fn power_levels_stop_at_the_first_that_is_not_allowed() {
    let mut room = Room::new();
    let mut base = room.branch(0);
    room.send(&mut base, powers(50));
    room.base = base;
    let (mut here, mut there) = (room.branch(0), room.branch(2));
    // Here Bob loses the power by which he changes the levels there.
    let demoted = room.send(&mut here, powers(0));
    let users = json!({ ALICE: 100, BOB: 50, CAROL: 50 });
    let by_bob = state_event(BOB, "m.room.power_levels", "", json!({ "users": users }));
    room.send(&mut there, by_bob);
    let state = room.resolve(&[&here, &there]);
    assert_eq!(at(&state, "m.room.power_levels", "").event_id(), demoted.event_id());
}

#[test]
fn nothing_comes_after_the_first_that_is_not_allowed() {
    let mut room = Room::new();
    let mut base = room.branch(0);
    room.send(&mut base, powers(50));
    room.base = base;
    let mut tips = [room.branch(0), room.branch(2), room.branch(4)];
    let demoted = room.send(&mut tips[0], powers(0));
    let users = json!({ ALICE: 100, BOB: 50, CAROL: 50 });
    let by_bob = state_event(BOB, "m.room.power_levels", "", json!({ "users": users }));
    room.send(&mut tips[1], by_bob);
    // Alice's would be allowed, had Bob's not stood in between.
    room.send(&mut tips[2], powers(40));
    let state = room.resolve(&tips.iter().collect::<Vec<_>>());
    assert_eq!(at(&state, "m.room.power_levels", "").event_id(), demoted.event_id());
}

/// Power levels under another state key are as any other state: the deepest that is allowed wins.
#[test]
fn power_levels_have_no_state_key() {
    let mut room = Room::new();
    let mut base = room.branch(0);
    room.send(&mut base, powers(50));
    room.base = base;
    let mut tips = [room.branch(0), room.branch(2), room.branch(4)];
    room.send(&mut tips[0], powers(0));
    let users = json!({ "users": { ALICE: 100, BOB: 0 } });
    for (tip, sender) in tips.iter_mut().zip([ALICE, BOB, ALICE]) {
        room.send(tip, state_event(sender, "m.room.power_levels", "x", users.clone()));
    }
    let state = room.resolve(&tips.iter().collect::<Vec<_>>());
    let deepest = tips[2].last.as_ref().unwrap();
    assert_eq!(at(&state, "m.room.power_levels", "x").event_id(), deepest.event_id());
}

#[test]
fn who_comes_in_by_a_rule_that_is_in_conflict_stays() {
    let mut room = Room::new();
    let dave = "@dave:b.example";
    let rules =
        |rule: &str| state_event(ALICE, "m.room.join_rules", "", json!({"join_rule": rule}));
    let mut base = room.branch(0);
    room.send(&mut base, member(dave, dave, "join"));
    room.send(&mut base, member(dave, dave, "leave"));
    room.base = base;
    let (mut here, mut there) = (room.branch(3), room.branch(0));
    room.send(&mut there, rules("invite"));
    room.send(&mut here, rules("public"));
    let joined = room.send(&mut here, member(dave, dave, "join"));
    let state = room.resolve(&[&here, &there]);
    assert_eq!(at(&state, "m.room.member", dave).event_id(), joined.event_id());
}

#[test]
fn power_levels_are_settled_before_what_needs_them() {
    let mut room = Room::new();
    let mut base = room.branch(0);
    room.send(&mut base, powers(50));
    room.base = base;
    let (mut here, mut there) = (room.branch(0), room.branch(0));
    room.send(&mut here, powers(0));
    let first = room.send(&mut here, topic("Alice's"));
    // Deeper, but its sender has no power any more once the levels are settled.
    for _ in 0..3 {
        room.maker.send(&mut there, message(BOB)).unwrap();
    }
    let bobs = state_event(BOB, "m.room.topic", "", json!({ "topic": "Bob's" }));
    let bobs = room.send(&mut there, bobs);
    assert!(bobs.depth() > first.depth());
    // The levels differ between the states, so that they are in conflict and the demotion wins.
    room.send(&mut there, {
        let users = json!({ ALICE: 100, BOB: 50, CAROL: 10 });
        state_event(ALICE, "m.room.power_levels", "", json!({ "users": users }))
    });
    let state = room.resolve(&[&here, &there]);
    // Of the levels the deeper one wins, and there Bob still has power: so does his topic.
    assert_eq!(at(&state, "m.room.topic", "").event_id(), bobs.event_id());

    let mut deeper = here.clone();
    for _ in 0..9 {
        room.maker.send(&mut deeper, message(ALICE)).unwrap();
    }
    room.send(&mut deeper, powers(1));
    let state = room.resolve(&[&deeper, &there]);
    // Now the demotion is the deeper one, and of the topics only Alice's is allowed.
    assert_eq!(at(&state, "m.room.topic", "").event_id(), first.event_id());
}

#[test]
fn if_no_event_is_allowed_the_shallowest_stays() {
    let mut room = Room::new();
    let mut base = room.branch(0);
    room.send(&mut base, powers(50));
    room.base = base;
    let bobs = |text: &'static str| state_event(BOB, "m.room.topic", "", json!({ "topic": text }));
    let (mut here, mut there) = (room.branch(0), room.branch(1));
    let shallow = room.send(&mut here, bobs("shallow"));
    room.send(&mut there, bobs("deep"));
    // Both states have Bob banned, without conflict.
    let ban = room.maker.make(
        member(ALICE, BOB, "ban"),
        &[&**here.last.as_ref().unwrap(), &**there.last.as_ref().unwrap()],
        &here.state,
    );
    room.memory.add(&ban);
    for tip in [&mut here, &mut there] {
        tip.apply(&ban);
    }
    let state = room.resolve(&[&here, &there]);
    assert_eq!(at(&state, "m.room.topic", "").event_id(), shallow.event_id());
    assert_eq!(at(&state, "m.room.member", BOB).event_id(), ban.event_id());
}

#[test]
fn members_are_resolved_after_join_rules_and_one_by_one() {
    let mut room = Room::new();
    let rules =
        |rule: &str| state_event(ALICE, "m.room.join_rules", "", json!({"join_rule": rule}));
    let dave = "@dave:b.example";
    let (mut here, mut there) = (room.branch(0), room.branch(0));
    let closed = room.send(&mut here, rules("invite"));
    let invite = room.send(&mut here, member(ALICE, dave, "invite"));
    // There Dave joins a public room, deeper than the invite.
    for _ in 0..3 {
        room.maker.send(&mut there, message(BOB)).unwrap();
    }
    let joined = room.send(&mut there, member(dave, dave, "join"));
    let state = room.resolve(&[&here, &there]);
    // The base's rules and the new ones are in conflict; the deeper, stricter one wins, and Dave's
    // join after the invite is allowed by it.
    assert_eq!(at(&state, "m.room.join_rules", "").event_id(), closed.event_id());
    assert_eq!(at(&state, "m.room.member", dave).event_id(), joined.event_id());
    assert_ne!(joined.event_id(), invite.event_id());
}

#[test]
fn a_sender_whose_membership_is_in_conflict_changes_no_power_levels() {
    let mut room = Room::new();
    let (mut here, mut there) = (room.branch(0), room.branch(1));
    let name = |name: &str| {
        let content = json!({ "membership": "join", "displayname": name });
        state_event(ALICE, "m.room.member", ALICE, content)
    };
    room.send(&mut here, name("one"));
    let shallow = room.send(&mut here, powers(10));
    room.send(&mut there, name("two"));
    room.send(&mut there, powers(20));
    let state = room.resolve(&[&here, &there]);
    // Nobody is joined while the power levels are settled, so the chain ends with its first event.
    assert_eq!(at(&state, "m.room.power_levels", "").event_id(), shallow.event_id());
}
