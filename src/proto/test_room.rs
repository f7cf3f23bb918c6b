//! Rooms for tests: events made through the real [`crate::draft`], with states kept by hand.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Value as Json, json, value::to_raw_value};

use crate::{
    auth::{self, Denied, DeniedKind, Known},
    clock::Random,
    draft::{Draft, Placement, Reference, SignedPdu, Signer},
    pdu::Pdu,
    rules::Rules,
    signing::SigningKey,
};

/// The key of the specification's test vectors.
pub(crate) const SEED_LINE: &str = "ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

pub(crate) const ALICE: &str = "@alice:a.example";
pub(crate) const BOB: &str = "@bob:b.example";
pub(crate) const CAROL: &str = "@carol:c.example";
pub(crate) const DAVE: &str = "@dave:b.example";

/// How property tests run: with the same cases each time, unless the environment sets another
/// number of them.
pub(crate) fn generated(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_260_731),
        ..ProptestConfig::default()
    }
}

/// Bytes that count upwards.
pub(crate) struct Counting(std::sync::atomic::AtomicU8);

impl Counting {
    pub(crate) fn new() -> Self {
        Counting(std::sync::atomic::AtomicU8::new(7))
    }
}

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(29, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// A state by its texts.
pub(crate) type State = BTreeMap<(String, String), Arc<Pdu>>;

/// What to send.
#[derive(Clone)]
pub(crate) struct Send<'a> {
    pub sender: &'a str,
    pub event_type: &'a str,
    pub state_key: Option<&'a str>,
    pub content: Json,
}

pub(crate) fn state_event<'a>(
    sender: &'a str,
    event_type: &'a str,
    state_key: &'a str,
    content: Json,
) -> Send<'a> {
    Send { sender, event_type, state_key: Some(state_key), content }
}

pub(crate) fn member<'a>(sender: &'a str, target: &'a str, membership: &str) -> Send<'a> {
    state_event(sender, "m.room.member", target, json!({ "membership": membership }))
}

pub(crate) fn message(sender: &str) -> Send<'_> {
    let content = json!({ "msgtype": "m.text", "body": "hello" });
    Send { sender, event_type: "m.room.message", state_key: None, content }
}

/// Makes events of one room.
pub(crate) struct Maker {
    pub rules: &'static Rules,
    pub key: SigningKey,
    pub room_id: Option<OwnedRoomId>,
    pub events: HashMap<OwnedEventId, Arc<Pdu>>,
    pub time: u64,
    counter: Cell<u32>,
}

impl Maker {
    pub(crate) fn new(version: &str) -> Maker {
        let rules = Rules::of(version).unwrap();
        Maker {
            rules,
            key: SigningKey::parse(SEED_LINE).unwrap(),
            room_id: (!rules.room_id_is_create_event())
                .then(|| "!room:a.example".try_into().unwrap()),
            events: HashMap::new(),
            time: 1_700_000_000_000,
            counter: Cell::new(0),
        }
    }

    pub(crate) fn draft(send: Send<'_>) -> Draft {
        let Send { sender, event_type, state_key, content } = send;
        Draft {
            sender: OwnedUserId::try_from(sender).unwrap(),
            event_type: event_type.into(),
            state_key: state_key.map(Into::into),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
        }
    }

    /// Where an event goes after these ones, with auth events from this state.
    pub(crate) fn placement(&self, draft: &Draft, prev: &[&Pdu], state: &State) -> Placement {
        let keys = auth::auth_keys(draft, self.rules).unwrap();
        let auth_events = keys
            .into_iter()
            .filter_map(|(event_type, key)| state.get(&(event_type.to_string(), key)))
            .map(|pdu| Reference::from(&**pdu))
            .collect();
        self.counter.set(self.counter.get() + 1);
        Placement {
            room_id: self.room_id.clone(),
            origin_server_ts: self.time,
            depth: prev.iter().map(|pdu| pdu.depth()).max().unwrap_or(0) + 1,
            prev_events: prev.iter().map(|pdu| Reference::from(*pdu)).collect(),
            auth_events,
            event_id_localpart: Some(format!("event{}", self.counter.get())),
        }
    }

    pub(crate) fn sign(&self, draft: &Draft, placement: &Placement) -> SignedPdu {
        let signer = Signer { server: draft.sender.server_name(), key: &self.key };
        draft.complete(placement, signer, self.rules).unwrap()
    }

    /// Makes an event after these ones, whether it is allowed or not.
    pub(crate) fn make(&mut self, send: Send<'_>, prev: &[&Pdu], state: &State) -> Arc<Pdu> {
        self.time += 1000;
        let draft = Maker::draft(send);
        let signed = self.sign(&draft, &self.placement(&draft, prev, state));
        let pdu = signed.into_own().into_pdu();
        self.keep(&pdu);
        pdu
    }

    pub(crate) fn keep(&mut self, pdu: &Arc<Pdu>) {
        self.events.insert(pdu.event_id().to_owned(), pdu.clone());
    }

    pub(crate) fn find(&self, event_id: &EventId) -> Option<Known> {
        let pdu = self.events.get(event_id)?.clone();
        Some(Known { pdu, rejected: false })
    }

    /// All checks against its auth events and this state.
    pub(crate) fn check(&self, pdu: &Pdu, state: &State) -> Result<(), Denied> {
        auth::check_against_auth_events(pdu, |event_id| self.find(event_id))?;
        auth::check_state(pdu, |event_type, state_key| {
            state.get(&(event_type.to_owned(), state_key.to_owned())).cloned()
        })
    }

    /// Makes an event after the only tip; if it is allowed, it is applied to the state.
    pub(crate) fn send(&mut self, tip: &mut Tip, send: Send<'_>) -> Result<Arc<Pdu>, Denied> {
        let prev = tip.last.clone();
        let pdu = self.make(send, &prev.iter().map(|pdu| &**pdu).collect::<Vec<_>>(), &tip.state);
        self.check(&pdu, &tip.state)?;
        tip.apply(&pdu);
        Ok(pdu)
    }

    /// A room of Alice's in which anybody may join.
    pub(crate) fn room(&mut self) -> Tip {
        let mut tip = Tip::default();
        let mut content = json!({ "room_version": self.rules.id });
        if self.rules.creator_in_content() {
            content["creator"] = ALICE.into();
        }
        let create = self.send(&mut tip, state_event(ALICE, "m.room.create", "", content)).unwrap();
        self.room_id = Some(create.room_id().to_owned());
        self.send(&mut tip, member(ALICE, ALICE, "join")).unwrap();
        let users =
            if self.rules.privileged_creators() { json!({}) } else { json!({ ALICE: 100 }) };
        let powers = json!({ "users": users });
        self.send(&mut tip, state_event(ALICE, "m.room.power_levels", "", powers)).unwrap();
        let rules = json!({ "join_rule": "public" });
        self.send(&mut tip, state_event(ALICE, "m.room.join_rules", "", rules)).unwrap();
        tip
    }
}

/// A branch's newest event and its state.
#[derive(Clone, Default)]
pub(crate) struct Tip {
    pub last: Option<Arc<Pdu>>,
    pub state: State,
}

impl Tip {
    pub(crate) fn apply(&mut self, pdu: &Arc<Pdu>) {
        if let Some(state_key) = pdu.state_key() {
            let key = (pdu.type_str().to_owned(), state_key.to_owned());
            self.state.insert(key, pdu.clone());
        }
        self.last = Some(pdu.clone());
    }

    pub(crate) fn get(&self, event_type: &str, state_key: &str) -> Option<&Arc<Pdu>> {
        self.state.get(&(event_type.to_owned(), state_key.to_owned()))
    }
}

pub(crate) fn user(id: &str) -> &UserId {
    id.try_into().unwrap()
}

/// A room of Alice's with Bob and Carol in it.
pub(crate) struct Room {
    pub maker: Maker,
    pub tip: Tip,
}

impl Room {
    pub(crate) fn new(version: &str) -> Room {
        let mut maker = Maker::new(version);
        let mut tip = maker.room();
        for user in [BOB, CAROL] {
            maker.send(&mut tip, member(user, user, "join")).unwrap();
        }
        Room { maker, tip }
    }

    /// What must be allowed, and is applied.
    pub(crate) fn must(&mut self, send: Send<'_>) {
        self.maker.send(&mut self.tip, send).unwrap();
    }

    /// The kind of denial, of an event that is not applied.
    pub(crate) fn denied(&mut self, send: Send<'_>) -> Option<DeniedKind> {
        let mut tip = self.tip.clone();
        self.maker.send(&mut tip, send).err().map(|denied| denied.kind)
    }

    pub(crate) fn join_rule(&mut self, content: Json) {
        self.must(state_event(ALICE, "m.room.join_rules", "", content));
    }

    /// Sets power levels; creators of version 12 are left out of `users`.
    pub(crate) fn powers(&mut self, mut content: Json) {
        if !self.maker.rules.privileged_creators() {
            content["users"][ALICE] = 100.into();
        }
        self.must(state_event(ALICE, "m.room.power_levels", "", content));
    }
}

pub(crate) fn all() -> impl Iterator<Item = Room> {
    Rules::all().map(|rules| Room::new(rules.id))
}
