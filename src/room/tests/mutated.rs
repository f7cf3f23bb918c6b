//! Events of another server with something wrong in them, thousands of different ones: each is
//! taken in, rejected or dropped, none is an error of ours, and the database says what the room
//! says. The same ones each time; `MUTATED_CASES` asks for more, `MUTATED_SEED` for others.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use proto::rules::Rules;
use serde_json::{Value, json};
use store::{Store, testing::SeededRandom, testing::for_each_engine};

use crate::{
    RoomError,
    resident::raw_event,
    tests::forger::{ALICE, BOB, EVE, Forger, What, another_room, join, user_id},
};

/// How many events each room hears of.
const CASES: u64 = 40;
const VERSIONS: [&str; 5] = ["1", "3", "6", "10", "12"];

fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test]
async fn whatever_comes_is_taken_in_rejected_or_dropped() {
    for_each_engine(async |store: Store| {
        for (version, seed) in VERSIONS.iter().zip(1..) {
            let forger = Forger::new(store.clone(), Rules::of(version).unwrap(), seed).await;
            let random = SeededRandom::new(seed + asked("MUTATED_SEED", 0));
            let mutator = Mutator { forger, random, late: Mutex::default() };
            let outcomes = mutator.run(asked("MUTATED_CASES", CASES)).await;
            println!("version {version}: {outcomes:?}");
            assert!(outcomes.len() > 2, "nothing much happened");
        }
    })
    .await;
}

struct Mutator {
    forger: Forger,
    random: SeededRandom,
    /// What is under way for longer, and will be a fork.
    late: Mutex<Vec<String>>,
}

impl Mutator {
    async fn run(self, cases: u64) -> BTreeSet<String> {
        let alice = user_id(ALICE);
        let world = &self.forger.world;
        let powers = json!({ "users": { BOB: 90, ALICE: 100 }, "state_default": 10 });
        if !self.forger.rules.privileged_creators() {
            let set = world.set_state(&alice, &self.forger.room, "m.room.power_levels", powers);
            set.await.unwrap();
        }
        let elsewhere = another_room(world, self.forger.rules).await;
        let foreign = self.forger.event_in(&elsewhere, (BOB, "m.room.member", Some(BOB), join()));
        let foreign = foreign.await;
        let mut outcomes = BTreeSet::new();
        for case in 0..cases {
            let text = self.next(&foreign).await;
            let Ok(raw) = raw_event(&text) else { continue };
            let sent = world.rooms.receive(&self.forger.name, &self.forger.room, &raw).await;
            match sent {
                Ok(received) => {
                    let event = world.rooms.inner.find_event(&received.event_id).await.unwrap();
                    let signer = event.unwrap().pdu().sender().server_name().to_owned();
                    assert_eq!(signer, self.forger.name, "in another's name: {text}");
                    outcomes.insert(format!("{:?}", received.outcome))
                }
                Err(RoomError::Dropped { reason, .. }) => {
                    let words = reason.split_whitespace().take(4).collect::<Vec<_>>();
                    outcomes.insert(words.join(" "))
                }
                Err(RoomError::Peer(_)) => outcomes.insert("Peer".to_owned()),
                Err(error) => panic!("{error} (case {case}): {text}"),
            };
            if case % 20 == 0 {
                self.check().await;
                let said = json!({ "body": "and I?" });
                let said = world.submit(&alice, &self.forger.room, ("m.x", None, said)).await;
                assert!(matches!(said, Ok(_) | Err(RoomError::Denied(_))), "{said:?}");
            }
        }
        self.check().await;
        outcomes
    }

    /// What is in the database is what the room is in memory.
    async fn check(&self) {
        let inner = &self.forger.world.rooms.inner;
        let view = self.forger.found().await.view();
        let (loader, number) = (inner.loader.clone(), view.number());
        let load = move |snapshot: &mut store::Snapshot<'_>| loader.load(snapshot, number);
        let stored = inner.setup.store.read(load).await.unwrap().unwrap().tip.view;
        assert_eq!(stored.state(), view.state());
        let tips =
            |view: &crate::RoomView| view.tips.iter().map(|tip| tip.number()).collect::<Vec<_>>();
        assert_eq!(tips(&stored), tips(&view));
        assert_eq!(stored.joined_count(), view.joined_count());
    }

    fn roll(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.random.below(bound)).unwrap()
    }

    fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    /// A new event, or one that was made before the latest.
    async fn next(&self, foreign: &Value) -> String {
        let text = self.text(foreign).await;
        let mut late = self.late.lock();
        if self.roll(3) > 0 {
            return text;
        }
        late.push(text);
        let place = self.roll(late.len());
        late.swap_remove(place)
    }

    /// An event with something wrong in it, or something that looks so.
    async fn text(&self, foreign: &Value) -> String {
        let mut event = self.forger.event(self.what()).await;
        for _ in 0..self.roll(4) {
            self.change(&mut event, foreign);
        }
        let mut text = match self.roll(8) {
            0 => event.to_string(),
            1 => self.forger.sign_only(&event),
            _ => self.forger.sign(&event),
        };
        if self.roll(8) == 0 {
            self.scratch(&mut text);
        }
        if self.roll(3) == 0
            && let Ok(pdu) = proto::pdu::Pdu::parse(&text, self.forger.rules)
        {
            // Others may name it, and the state there is said to be anything.
            let id = self.forger.give(&text);
            let mut state = self.forger.state().await;
            state.retain(|_| self.roll(4) > 0);
            state.extend(pdu.auth_events().iter().cloned());
            self.forger.tell(&id, state);
        }
        text
    }

    fn what(&self) -> What<'static> {
        let who = *self.pick(&[BOB, BOB, BOB, EVE]);
        let member = |who, target, membership: &str| {
            (who, "m.room.member", Some(target), json!({ "membership": membership }))
        };
        match self.roll(9) {
            0 => member(EVE, EVE, self.pick::<&str>(&["join", "join", "leave", "knock", "invite"])),
            1 => member(BOB, EVE, self.pick::<&str>(&["invite", "leave", "ban"])),
            2 => (who, "m.room.topic", Some(""), json!({ "topic": self.roll(9) })),
            3 => {
                let users = json!({ BOB: 90, ALICE: 100, EVE: self.roll(95) });
                let levels = json!({ "users": users, "state_default": self.roll(20) });
                (BOB, "m.room.power_levels", Some(""), levels)
            }
            4 => {
                let rule = *self.pick(&["public", "public", "invite", "knock", "restricted"]);
                (BOB, "m.room.join_rules", Some(""), json!({ "join_rule": rule }))
            }
            5 => (who, "m.room.redaction", None, json!({ "redacts": "$x" })),
            _ => (who, "m.room.message", None, json!({ "body": self.roll(9), "x": [1, {}] })),
        }
    }

    fn change(&self, event: &mut Value, foreign: &Value) {
        let object = event.as_object_mut().unwrap();
        let keys = object.keys().cloned().collect::<Vec<_>>();
        match self.roll(10) {
            0 => {
                object.remove(self.pick(&keys));
            }
            1 => {
                object.insert(self.pick(&keys).clone(), self.nasty());
            }
            2 => {
                let names = ["unsigned", "redacts", "event_id", "origin", "x", "prev_state"];
                object.insert((*self.pick(&names)).to_owned(), self.nasty());
            }
            3 => {
                let unsigned = json!({ "transaction_id": "t", "age": -1, "redacted_because": {} });
                object.insert("unsigned".to_owned(), unsigned);
            }
            4..7 => self.change_lists(event, foreign),
            7 => {
                let (field, value) = self.pick(&[
                    ("sender", ALICE),
                    ("sender", "@:b.org"),
                    ("state_key", ""),
                    ("state_key", BOB),
                    ("state_key", "@"),
                    ("type", "m.room.create"),
                    ("type", "m.room.member"),
                    ("type", "m.room.aliases"),
                    ("type", "m.room.third_party_invite"),
                    ("room_id", "!other:b.org"),
                ]);
                object.insert((*field).to_owned(), (*value).into());
            }
            _ => {
                let fields = [
                    "membership",
                    "join_rule",
                    "users",
                    "events",
                    "ban",
                    "redacts",
                    "topic",
                    "third_party_invite",
                    "join_authorised_via_users_server",
                    "creator",
                    "room_version",
                    "\u{0}",
                    "é",
                ];
                if let Some(Value::Object(content)) = object.get_mut("content") {
                    content.insert((*self.pick(&fields)).to_owned(), self.nasty());
                }
            }
        }
    }

    fn change_lists(&self, event: &mut Value, foreign: &Value) {
        let own = event.get("event_id").cloned().unwrap_or_else(|| "$own".into());
        let list = event.get_mut(*self.pick(&["prev_events", "auth_events"]));
        let Some(Value::Array(list)) = list else { return };
        if self.roll(3) == 0 {
            *list = list.iter().cycle().take(self.roll(25)).cloned().collect();
            return;
        }
        let ids = [own, json!("$unknown"), foreign["prev_events"][0].clone()];
        let id = self.pick(&ids);
        let with_hash = self.forger.rules.references_carry_hashes() && id.is_string();
        list.push(if with_hash { json!([id, { "sha256": "x" }]) } else { id.clone() });
    }

    fn nasty(&self) -> Value {
        let deep = |depth: usize| (0..depth).fold(json!(0), |inner, _| json!([inner]));
        let all = [
            json!(null),
            json!(true),
            json!(-1),
            json!(0),
            json!(1.5),
            json!(9_007_199_254_740_992_i64),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(""),
            json!("@"),
            json!("\u{0}"),
            json!("é".repeat(130)),
            json!("x".repeat(66_000)),
            json!([]),
            json!({}),
            json!({ BOB: "90", ALICE: " +5", "x": null }),
            json!({ "signed": { "mxid": EVE, "token": "t", "signatures": {} } }),
            json!([["$a"], ["$b", {}], "$c", 1]),
            deep(125),
            deep(200),
        ];
        self.pick(&all).clone()
    }

    /// Changes the text itself.
    fn scratch(&self, text: &mut String) {
        let pieces = ["\\ud800", "\\u0000", "1", "0", "\"", "{", "e9", ".5", " ", "\\", ",", "-"];
        let places = text.char_indices().map(|(at, _)| at).collect::<Vec<_>>();
        let at = *self.pick(&places);
        if self.roll(2) == 0 {
            text.insert_str(at, pieces[self.roll(pieces.len())]);
        } else {
            text.remove(at);
        }
    }
}
