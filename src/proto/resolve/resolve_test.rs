//! Versions 2 and 2.1: against ruma-state-res on generated forks, and on cases that show what the
//! algorithm is for.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    state_res::{self, utils::event_id_set::EventIdSet},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    test_room::{ALICE, BOB, CAROL, Maker, Send, State, Tip, generated, member, state_event},
    test_source::Memory,
};

const USERS: [&str; 4] = [ALICE, BOB, CAROL, "@dave:b.example"];

type RumaState = state_res::StateMap<OwnedEventId>;

fn to_ruma(memory: &Memory, state: &StateMap) -> RumaState {
    let entry = |number: &EventNumber| {
        let pdu = &memory.get(*number).pdu;
        let key = (StateEventType::from(pdu.type_str()), pdu.state_key().unwrap().to_owned());
        (key, pdu.event_id().to_owned())
    };
    state.values().map(entry).collect()
}

/// What ruma resolves the states to.
fn oracle(memory: &Memory, rules: &Rules, states: &[StateMap]) -> BTreeSet<OwnedEventId> {
    let maps: Vec<RumaState> = states.iter().map(|state| to_ruma(memory, state)).collect();
    let id = |number: EventNumber| memory.get(number).pdu.event_id().to_owned();
    // With the events themselves, as Synapse has it.
    let chain = |state: &StateMap| {
        let mut chain = memory.chain(state.values().copied());
        chain.extend(state.values());
        chain.into_iter().map(id).collect::<EventIdSet<_>>()
    };
    let chains = states.iter().map(chain).collect();
    let fetch = |event_id: &EventId| {
        let event = memory.events.iter().find(|event| event.pdu.event_id() == event_id);
        event.map(|event| event.pdu.clone())
    };
    let subgraph = |conflicts: &state_res::StateMap<Vec<OwnedEventId>>| {
        let numbers: Vec<_> = conflicts.values().flatten().map(|id| memory.number(id)).collect();
        Some(memory.subgraph(&numbers).into_iter().map(id).collect())
    };
    let resolved = state_res::resolve(
        &rules.authorization,
        rules.state_res.v2_rules().unwrap(),
        &maps,
        chains,
        fetch,
        subgraph,
    );
    resolved.unwrap().into_values().collect()
}

/// One thing that somebody tries to do somewhere.
#[derive(Clone, Debug)]
struct Step {
    actor: usize,
    target: usize,
    action: u8,
    level: i64,
    /// On which branches: two different ones are merged.
    at: (usize, usize),
    /// Whether a new branch begins here.
    forks: bool,
    /// How much later than the last event; nothing makes ties, and negative steps clocks that
    /// differ.
    later: i64,
}

fn any_step() -> impl Strategy<Value = Step> {
    let branch = || 0..4_usize;
    (0..4_usize, 0..4_usize, 0..12_u8, -1..110_i64, (branch(), branch()), any::<bool>(), -3..4_i64)
        .prop_map(|(actor, target, action, level, at, forks, later)| Step {
            actor,
            target,
            action,
            level,
            at,
            forks,
            later,
        })
}

fn send_of<'a>(step: &Step, state: &State) -> Send<'a> {
    let (actor, target) = (USERS[step.actor], USERS[step.target]);
    let levels = || {
        let key = ("m.room.power_levels".to_owned(), String::new());
        // A resolution may leave the room without power levels: that is what version 2.1 is
        // against.
        let text = state.get(&key).map_or(r#"{"users":{}}"#, |pdu| pdu.content());
        let mut content: Value = serde_json::from_str(text).unwrap();
        let field = ["ban", "kick", "state_default", "users_default", "invite"];
        if step.level % 2 == 0 {
            content["users"][target] = step.level.into();
        } else {
            content[field[step.actor]] = (step.level / 2).into();
        }
        content
    };
    match step.action {
        0 | 1 => member(actor, actor, "join"),
        2 => member(actor, actor, "leave"),
        3 => member(actor, target, "leave"),
        4 => member(actor, target, "ban"),
        5 => member(actor, target, "invite"),
        6 | 7 => state_event(actor, "m.room.power_levels", "", levels()),
        8 => {
            let rule =
                ["public", "invite", "private"][usize::try_from(step.level + 1).unwrap() % 3];
            state_event(actor, "m.room.join_rules", "", json!({ "join_rule": rule }))
        }
        9 => state_event(actor, "m.room.topic", "", json!({ "topic": step.level })),
        10 => state_event(actor, "m.room.name", "", json!({ "name": step.level })),
        _ => state_event(actor, "m.custom", target, json!({ "by": actor })),
    }
}

/// A room with forks, and all that was made in it.
struct Forked {
    maker: Maker,
    memory: Memory,
    tips: Vec<Tip>,
}

impl Forked {
    fn new(version: &str) -> Forked {
        let mut maker = Maker::new(version);
        let mut tip = maker.room();
        for user in &USERS[1..] {
            maker.send(&mut tip, member(user, user, "join")).unwrap();
        }
        let mut memory = Memory::default();
        let mut made: Vec<_> = maker.events.values().cloned().collect();
        made.sort_by_key(|pdu| pdu.depth());
        for pdu in &made {
            memory.add(pdu);
        }
        Forked { maker, memory, tips: vec![tip] }
    }

    fn by_number(&self, state: &StateMap) -> State {
        let entry = |number: &EventNumber| {
            let pdu = self.memory.get(*number).pdu.clone();
            ((pdu.type_str().to_owned(), pdu.state_key().unwrap().to_owned()), pdu)
        };
        state.values().map(entry).collect()
    }

    fn numbered(&mut self, tip: usize) -> StateMap {
        self.memory.state(self.tips[tip].state.values())
    }

    /// Resolves by both and compares.
    fn resolve(&mut self, states: &[StateMap]) -> StateMap {
        let rules = self.maker.rules;
        let ours = resolve(rules, states, &mut self.memory).unwrap();
        let expected = oracle(&self.memory, rules, states);
        assert_eq!(self.memory.ids(&ours), expected, "version {}", rules.id);
        ours
    }

    fn step(&mut self, step: &Step) {
        let (one, other) = (step.at.0 % self.tips.len(), step.at.1 % self.tips.len());
        let states = [self.numbered(one), self.numbered(other)];
        let resolved = self.resolve(&states);
        let state = self.by_number(&resolved);
        if !state.contains_key(&("m.room.join_rules".to_owned(), String::new())) {
            // ruma allows no join where it finds no join rules; here, as in Synapse, such a room is
            // for the invited.
            return;
        }
        let lasts = [&self.tips[one], &self.tips[other]].map(|tip| tip.last.clone().unwrap());
        let prev = if one == other { vec![&*lasts[0]] } else { vec![&*lasts[0], &*lasts[1]] };
        self.maker.time = self.maker.time.saturating_add_signed(step.later * 1000 - 1000);
        let pdu = self.maker.make(send_of(step, &state), &prev, &state);
        if self.maker.check(&pdu, &state).is_err() {
            return;
        }
        self.memory.add(&pdu);
        let mut tip = Tip { last: None, state };
        tip.apply(&pdu);
        if step.forks && self.tips.len() < 4 {
            self.tips.push(tip);
        } else {
            self.tips[one] = tip;
        }
    }

    /// A state that nobody has: under each key some event that has it, or none.
    fn invented(&self, seed: u64) -> StateMap {
        let mut by_key: HashMap<StateKeyNumber, Vec<EventNumber>> = HashMap::new();
        for event in self.memory.events.iter().filter(|event| event.pdu.is_state()) {
            by_key.entry(event.key).or_default().push(event.number);
        }
        let create = self.memory.events[0].key;
        let choose = |(key, events): (StateKeyNumber, Vec<EventNumber>)| {
            let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7)
                ^ u64::try_from(key.0).unwrap().wrapping_mul(0xd134_2543_de82_ef95);
            let index = usize::try_from((dice >> 33) % (events.len() as u64 + 1)).unwrap();
            let event = events.get(index).or_else(|| events.first().filter(|_| key == create))?;
            Some((key, *event))
        };
        by_key.into_iter().filter_map(choose).collect()
    }
}

fn compare(version: &str, steps: &[Step], seeds: &[u64]) {
    let mut forked = Forked::new(version);
    for step in steps {
        forked.step(step);
    }
    let mut states: Vec<_> = (0..forked.tips.len()).map(|tip| forked.numbered(tip)).collect();
    forked.resolve(&states);
    states.truncate(2);
    states.extend(seeds.iter().map(|seed| forked.invented(*seed)));
    forked.resolve(&states);
    let backwards: Vec<_> = states.iter().rev().cloned().collect();
    let there = forked.resolve(&states);
    assert_eq!(there, forked.resolve(&backwards), "the order of the states does not matter");
}

proptest! {
    #![proptest_config(generated(60))]

    #[test]
    fn version_2_agrees_with_ruma(
        steps in prop::collection::vec(any_step(), 1..30),
        seeds in prop::collection::vec(any::<u64>(), 1..3),
        version in prop::sample::select(vec!["2", "3", "6", "8", "10", "11"]),
    ) {
        compare(version, &steps, &seeds);
    }

    #[test]
    fn version_2_1_agrees_with_ruma(
        steps in prop::collection::vec(any_step(), 1..30),
        seeds in prop::collection::vec(any::<u64>(), 1..3),
    ) {
        compare("12", &steps, &seeds);
    }
}

/// Makes an event on a branch, which must be allowed there.
fn on(forked: &mut Forked, tip: &mut Tip, send: Send<'_>) -> Arc<Pdu> {
    let pdu = forked.maker.send(tip, send).unwrap();
    forked.memory.add(&pdu);
    pdu
}

fn resolved(forked: &mut Forked, tips: &[&Tip]) -> State {
    let states: Vec<_> = tips.iter().map(|tip| forked.memory.state(tip.state.values())).collect();
    let state = forked.resolve(&states);
    forked.by_number(&state)
}

fn versions() -> impl Iterator<Item = &'static str> {
    Rules::all().map(|rules| rules.id).filter(|id| *id != "1")
}

#[test]
fn a_ban_beats_what_the_banned_did_meanwhile() {
    for version in versions() {
        let mut forked = Forked::new(version);
        let (mut here, mut there) = (forked.tips[0].clone(), forked.tips[0].clone());
        let ban = on(&mut forked, &mut here, member(ALICE, BOB, "ban"));
        let rejoin = json!({ "membership": "join", "displayname": "B" });
        on(&mut forked, &mut there, state_event(BOB, "m.room.member", BOB, rejoin));
        let state = resolved(&mut forked, &[&here, &there]);
        let bob = &state[&("m.room.member".to_owned(), BOB.to_owned())];
        assert_eq!(bob.event_id(), ban.event_id());
    }
}

#[test]
fn of_two_topics_the_later_one_stands() {
    for version in versions() {
        let mut forked = Forked::new(version);
        let (mut here, mut there) = (forked.tips[0].clone(), forked.tips[0].clone());
        let topic = |text: &str| state_event(ALICE, "m.room.topic", "", json!({ "topic": text }));
        on(&mut forked, &mut here, topic("first"));
        let second = on(&mut forked, &mut there, topic("second"));
        for tips in [[&here, &there], [&there, &here]] {
            let state = resolved(&mut forked, &tips);
            let key = ("m.room.topic".to_owned(), String::new());
            assert_eq!(state[&key].event_id(), second.event_id());
        }
    }
}

#[test]
fn who_loses_power_on_one_side_loses_what_needed_it_on_the_other() {
    for version in versions() {
        let mut forked = Forked::new(version);
        let mut tip = forked.tips[0].clone();
        let powers = |bob: i64| {
            let mut users = json!({ BOB: bob });
            if version != "12" {
                users[ALICE] = 100.into();
            }
            state_event(ALICE, "m.room.power_levels", "", json!({ "users": users }))
        };
        on(&mut forked, &mut tip, powers(50));
        let (mut here, mut there) = (tip.clone(), tip);
        on(&mut forked, &mut here, powers(0));
        on(&mut forked, &mut there, state_event(BOB, "m.room.name", "", json!({ "name": "B" })));
        let state = resolved(&mut forked, &[&here, &there]);
        assert!(!state.contains_key(&("m.room.name".to_owned(), String::new())));
    }
}

/// Creators of version 12 come before all others, so that what the others do later stands.
#[test]
fn creators_order_before_every_level() {
    let mut forked = Forked::new("12");
    let mut tip = forked.tips[0].clone();
    let levels = json!({ "users": { BOB: 100 } });
    on(&mut forked, &mut tip, state_event(ALICE, "m.room.power_levels", "", levels));
    let (mut here, mut there) = (tip.clone(), tip);
    let rule =
        |who, rule: &str| state_event(who, "m.room.join_rules", "", json!({"join_rule": rule}));
    let bobs = on(&mut forked, &mut here, rule(BOB, "invite"));
    on(&mut forked, &mut there, rule(ALICE, "knock"));
    let state = resolved(&mut forked, &[&here, &there]);
    let rules = &state[&("m.room.join_rules".to_owned(), String::new())];
    assert_eq!(rules.event_id(), bobs.event_id());
}

/// What has the type of a power event under another state key is none: of two the later one stands,
/// whoever has more power.
#[test]
fn a_power_event_has_no_state_key() {
    for version in versions() {
        for kind in ["m.room.power_levels", "m.room.join_rules"] {
            let mut forked = Forked::new(version);
            let mut tip = forked.tips[0].clone();
            let mut levels = json!({ "users": { BOB: 50 }, "join_rule": "public" });
            if version != "12" {
                levels["users"][ALICE] = 100.into();
            }
            let sent = state_event(ALICE, "m.room.power_levels", "", levels.clone());
            on(&mut forked, &mut tip, sent);
            let (mut here, mut there) = (tip.clone(), tip);
            on(&mut forked, &mut here, state_event(BOB, kind, "x", levels.clone()));
            let later = on(&mut forked, &mut there, state_event(ALICE, kind, "x", levels));
            let state = resolved(&mut forked, &[&here, &there]);
            let stands = &state[&(kind.to_owned(), "x".to_owned())];
            assert_eq!(stands.event_id(), later.event_id(), "{kind} in {version}");
        }
    }
}

/// A create event is a power event, so that none comes in after what goes by another one.
#[test]
fn of_two_create_events_the_later_one_stands() {
    for version in versions().filter(|version| *version != "12") {
        let mut forked = Forked::new(version);
        let (mut here, mut there) = (forked.tips[0].clone(), forked.tips[0].clone());
        let key = ("m.room.create".to_owned(), String::new());
        let content = serde_json::from_str(here.state[&key].content()).unwrap();
        let levels = forked.tips[0].get("m.room.power_levels", "").unwrap();
        let mut levels: Value = serde_json::from_str(levels.content()).unwrap();
        levels["ban"] = 40.into();
        on(&mut forked, &mut here, state_event(ALICE, "m.room.power_levels", "", levels));
        forked.maker.time = 1;
        let send = state_event(ALICE, "m.room.create", "", content);
        let earlier = forked.maker.make(send, &[], &State::new());
        forked.memory.add(&earlier);
        there.state.insert(key.clone(), earlier);
        // Not compared with ruma: its power of who sends a create event is that of the creator whom
        // it has met first, in no order.
        let states = [&here, &there].map(|tip| forked.memory.state(tip.state.values()));
        let state = resolve(forked.maker.rules, &states, &mut forked.memory).unwrap();
        let state = forked.by_number(&state);
        assert_eq!(state[&key].event_id(), here.state[&key].event_id(), "version {version}");
    }
}

/// Rejected events allow nothing, be they in the state or among an event's own auth events.
#[test]
fn by_rejected_power_levels_nobody_has_power() {
    for version in versions() {
        let mut forked = Forked::new(version);
        let mut tip = forked.tips[0].clone();
        let mut levels = json!({ "users": { BOB: 50 } });
        if version != "12" {
            levels["users"][ALICE] = 100.into();
        }
        let levels = state_event(ALICE, "m.room.power_levels", "", levels);
        let levels = on(&mut forked, &mut tip, levels);
        let (mut here, mut there) = (tip.clone(), tip);
        for (tip, topic) in [(&mut here, "one"), (&mut there, "two")] {
            let topic = json!({ "topic": topic });
            on(&mut forked, tip, state_event(BOB, "m.room.topic", "", topic));
        }
        let key = ("m.room.topic".to_owned(), String::new());
        assert!(resolved(&mut forked, &[&here, &there]).contains_key(&key));
        forked.memory.reject(levels.event_id());
        let states = [&here, &there].map(|tip| forked.memory.state(tip.state.values()));
        let state = resolve(forked.maker.rules, &states, &mut forked.memory).unwrap();
        assert!(!forked.by_number(&state).contains_key(&key), "version {version}");
    }
}

#[test]
fn trivial_cases() {
    let mut forked = Forked::new("12");
    let rules = forked.maker.rules;
    assert!(resolve(rules, &[], &mut forked.memory).unwrap().is_empty());
    let state = forked.numbered(0);
    let alone = resolve(rules, std::slice::from_ref(&state), &mut forked.memory).unwrap();
    assert!(alone.ptr_eq(&state));
    let same = resolve(rules, &[state.clone(), state.clone()], &mut forked.memory).unwrap();
    assert!(same.ptr_eq(&state));
    // Equal, though not the same map.
    let equal: StateMap = state.iter().map(|(key, event)| (*key, *event)).collect();
    assert_eq!(resolve(rules, &[state.clone(), equal], &mut forked.memory).unwrap(), state);
}

#[test]
fn an_unknown_event_in_a_state_is_an_error() {
    let mut forked = Forked::new("11");
    let state = forked.numbered(0);
    let other = state.update(StateKeyNumber(999), EventNumber(999));
    let error = resolve(forked.maker.rules, &[state, other], &mut forked.memory).unwrap_err();
    assert!(matches!(error, ResolveError::Missing(EventNumber(999))));
}

/// The work grows with the conflict, not with the state: of a room with many members only a few
/// events are asked for.
#[test]
fn large_states_are_not_walked() {
    struct Counted(Memory, usize);
    impl Source for Counted {
        type Error = std::convert::Infallible;
        fn events(
            &mut self,
            numbers: &[EventNumber],
        ) -> Result<Vec<Arc<ResolutionEvent>>, Self::Error> {
            self.1 += numbers.len();
            self.0.events(numbers)
        }
        fn key(&mut self, kind: &str, key: &str) -> Result<Option<StateKeyNumber>, Self::Error> {
            self.0.key(kind, key)
        }
        fn create_event(&mut self) -> Result<Option<EventNumber>, Self::Error> {
            self.0.create_event()
        }
        fn auth_difference(&mut self, _: &[StateMap]) -> Result<Vec<EventNumber>, Self::Error> {
            Ok(vec![])
        }
        fn conflicted_subgraph(
            &mut self,
            set: &[EventNumber],
        ) -> Result<Vec<EventNumber>, Self::Error> {
            Ok(set.to_vec())
        }
    }
    for version in ["11", "12"] {
        let mut forked = Forked::new(version);
        let mut base = forked.numbered(0);
        // Keys that nobody asks about stand for the members of a large room.
        base.extend((1000..51_000).map(|key| (StateKeyNumber(key), EventNumber(0))));
        let (mut here, mut there) = (forked.tips[0].clone(), forked.tips[0].clone());
        let topic = |text: &str| state_event(ALICE, "m.room.topic", "", json!({ "topic": text }));
        let mut states = Vec::new();
        for (tip, text) in [(&mut here, "first"), (&mut there, "second")] {
            let pdu = on(&mut forked, tip, topic(text));
            let number = forked.memory.number(pdu.event_id());
            states.push(base.update(forked.memory.get(number).key, number));
        }
        let mut source = Counted(forked.memory, 0);
        let resolved = resolve(forked.maker.rules, &states, &mut source).unwrap();
        assert_eq!(resolved, states[1]);
        assert!(source.1 < 10, "{} events asked for", source.1);
    }
}
