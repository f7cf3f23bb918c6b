//! A server that another one's rooms hear from, and whose answers and events are whatever a test
//! makes up: `b.org`, with users in a room of `a.org`.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
};

use parking_lot::Mutex;
use proto::{
    draft::{Draft, SignedPdu, Signer},
    json::canonical,
    pdu::Pdu,
    rules::Rules,
    signing::{SigningKey, VerifyKey},
    verify::VerifyKeys,
};
use ring::digest::{SHA256, digest};
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, RoomVersionId,
    ServerName, UserId,
    api::client::room::create_room::v3::RoomPreset,
    serde::{Base64, base64::Standard},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use store::{Store, testing::SeededRandom};

use crate::{
    Room, RoomError, Rooms,
    create::CreateRoom,
    draft::placement,
    peers::{Answer, JoinAnswer, JoinTemplate, MissingEvents, PeerError, Peers, StateIds},
    receive::Received,
    resident::raw_event,
    stage::Stage,
    testing,
    tests::world::{World, room_of},
};

/// The event as it is to be made: who, which type, which state key, which content.
pub(in crate::tests) type What<'w> = (&'w str, &'w str, Option<&'w str>, Value);

/// What the other server answers.
#[derive(Default)]
pub(in crate::tests) struct Answers {
    events: Mutex<HashMap<OwnedEventId, String>>,
    states: Mutex<HashMap<OwnedEventId, StateIds>>,
    missing: Mutex<Vec<String>>,
    /// How often it was asked for anything but keys.
    pub(in crate::tests) asked: AtomicUsize,
}

/// The other server, and a room that it has users in.
pub(in crate::tests) struct Forger {
    pub(in crate::tests) world: World,
    pub(in crate::tests) room: OwnedRoomId,
    pub(in crate::tests) rules: &'static Rules,
    pub(in crate::tests) answers: Arc<Answers>,
    pub(in crate::tests) name: OwnedServerName,
    key: Arc<SigningKey>,
    seed: u64,
    made: AtomicUsize,
}

pub(in crate::tests) const ALICE: &str = "@alice:a.org";
pub(in crate::tests) const BOB: &str = "@bob:b.org";
pub(in crate::tests) const EVE: &str = "@eve:b.org";

pub(in crate::tests) fn user_id(text: &str) -> OwnedUserId {
    UserId::parse(text).unwrap()
}

impl Forger {
    /// A public room of Alice's that Bob has joined. The seed is to be another one for each of a
    /// store.
    pub(in crate::tests) async fn new(store: Store, rules: &'static Rules, seed: u64) -> Self {
        let key = Arc::new(SigningKey::generate(&SeededRandom::new(99)));
        let answers = Arc::new(Answers::default());
        let mut setup = testing::setup(store, "a.org", seed);
        let key_id = key.key_id();
        let peer = Peer { answers: Arc::clone(&answers), key_id, key: key.verify_key() };
        setup.peers = Some(Arc::new(peer));
        let world = World { rooms: Rooms::new(setup) };
        let room = another_room(&world, rules).await;
        let (name, made) = (ServerName::parse("b.org").unwrap(), AtomicUsize::new(0));
        let forger = Self { world, room, rules, answers, name, key, seed, made };
        forger.must(forger.event((BOB, "m.room.member", Some(BOB), join())).await).await;
        forger
    }

    pub(in crate::tests) async fn found(&self) -> Room {
        self.world.rooms.find(&self.room).await.unwrap().unwrap()
    }

    /// An event at the end of the room, as a right-minded server would make it.
    pub(in crate::tests) async fn event(&self, what: What<'_>) -> Value {
        self.event_in(&self.room, what).await
    }

    pub(in crate::tests) async fn event_in(
        &self,
        room: &RoomId,
        (sender, event_type, state_key, content): What<'_>,
    ) -> Value {
        let room = self.world.rooms.find(room).await.unwrap().unwrap();
        let tip = self.world.rooms.lock_settled(&room.0).await.unwrap();
        let stage = Stage::new(&self.world.rooms.inner, &room.0, &tip);
        let draft = Draft {
            sender: user_id(sender),
            event_type: event_type.to_owned(),
            state_key: state_key.map(str::to_owned),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
        };
        let (mut placement, _) = placement(&stage, &draft, 1_000).await.unwrap();
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        placement.origin_server_ts += u64::try_from(number).unwrap();
        placement.event_id_localpart = Some(format!("forged{}of{}", number, self.seed));
        let signed = draft.complete(&placement, self.signer(), room.rules()).unwrap();
        serde_json::from_str(signed.pdu().json()).unwrap()
    }

    pub(in crate::tests) fn signer(&self) -> Signer<'_> {
        Signer { server: &self.name, key: &self.key }
    }

    /// Makes the content hash of an event right, and signs it.
    pub(in crate::tests) fn sign(&self, event: &Value) -> String {
        let mut hashed = event.clone();
        for key in ["hashes", "signatures", "unsigned"] {
            hashed.as_object_mut().unwrap().remove(key);
        }
        let Ok(text) = canonical(&hashed.to_string(), self.rules.json) else {
            return event.to_string();
        };
        let hash = digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        hashed["hashes"] = json!({ "sha256": Base64::<Standard>::new(hash).encode() });
        self.sign_only(&hashed)
    }

    /// Signs an event whatever its content hash is.
    pub(in crate::tests) fn sign_only(&self, event: &Value) -> String {
        let mut signed = event.clone();
        signed["signatures"] = json!({});
        let parsed = SignedPdu::parse(&signed.to_string(), self.rules);
        match parsed.map(|parsed| parsed.countersign(self.signer())) {
            Ok(Ok(both)) => both.pdu().json().to_owned(),
            _ => signed.to_string(),
        }
    }

    pub(in crate::tests) fn parse(&self, json: &str) -> Arc<Pdu> {
        Arc::new(Pdu::parse(json, self.rules).unwrap())
    }

    pub(in crate::tests) async fn send(&self, json: &str) -> Result<Received, RoomError> {
        self.send_to(&self.room, json).await
    }

    pub(in crate::tests) async fn send_to(
        &self,
        room: &RoomId,
        json: &str,
    ) -> Result<Received, RoomError> {
        self.world.rooms.receive(&self.name, room, &raw_event(json).unwrap()).await
    }

    /// Sends an event that must be accepted.
    pub(in crate::tests) async fn must(&self, event: Value) -> OwnedEventId {
        let received = self.send(&self.sign(&event)).await.unwrap();
        assert_eq!(received.outcome, crate::Outcome::Accepted);
        received.event_id
    }

    /// Sends an event that must be dropped; the reason.
    pub(in crate::tests) async fn dropped(&self, json: &str) -> String {
        match self.send(json).await {
            Err(RoomError::Dropped { reason, .. }) => reason,
            other => panic!("it should have been dropped: {other:?}"),
        }
    }

    /// Has the other server answer with this event when it is asked for it.
    pub(in crate::tests) fn give(&self, json: &str) -> OwnedEventId {
        let id = self.parse(json).event_id().to_owned();
        self.answers.events.lock().insert(id.clone(), json.to_owned());
        id
    }

    /// Has the other server say that this is the state before an event.
    pub(in crate::tests) fn tell(&self, event: &EventId, state: Vec<OwnedEventId>) {
        let told = StateIds { state, auth_chain: Vec::new() };
        self.answers.states.lock().insert(event.to_owned(), told);
    }

    /// How another event names this one.
    pub(in crate::tests) fn reference(&self, id: &EventId) -> Value {
        if self.rules.references_carry_hashes() {
            json!([id, { "sha256": "aGFzaA" }])
        } else {
            json!(id)
        }
    }

    /// The ids of the room's current state.
    pub(in crate::tests) async fn state(&self) -> Vec<OwnedEventId> {
        let numbers = self.found().await.view().state().values().copied().collect::<Vec<_>>();
        let mut ids = Vec::new();
        for number in numbers {
            ids.push(self.world.rooms.inner.body(number).await.unwrap().event_id().to_owned());
        }
        ids.sort_unstable();
        ids
    }
}

pub(in crate::tests) fn join() -> Value {
    json!({ "membership": "join" })
}

pub(in crate::tests) async fn another_room(world: &World, rules: &Rules) -> OwnedRoomId {
    let request = room_of(&user_id(ALICE), RoomPreset::PublicChat);
    world.rooms.create(CreateRoom { version: Some(rules.version()), ..request }).await.unwrap()
}

struct Peer {
    answers: Arc<Answers>,
    key_id: String,
    key: VerifyKey,
}

impl Peer {
    fn ask(&self) {
        self.answers.asked.fetch_add(1, Ordering::Relaxed);
    }
}

struct OneKey(String, VerifyKey);

impl VerifyKeys for OneKey {
    fn find(&self, server: &ServerName, key_id: &str, _: Option<i64>) -> Option<VerifyKey> {
        (server == "b.org" && key_id == self.0).then_some(self.1)
    }
}

fn cannot<T>() -> Result<T, PeerError> {
    Err(PeerError("it does not answer".to_owned()))
}

impl Peers for Peer {
    fn keys(
        &self,
        _wanted: Vec<(OwnedServerName, Vec<String>)>,
    ) -> Answer<'_, Box<dyn VerifyKeys + Send + Sync>> {
        let keys: Box<dyn VerifyKeys + Send + Sync> =
            Box::new(OneKey(self.key_id.clone(), self.key));
        Box::pin(async move { Ok(keys) })
    }

    fn missing_events<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        _: MissingEvents,
    ) -> Answer<'a, Vec<Box<RawValue>>> {
        self.ask();
        let missing = self.answers.missing.lock().clone();
        let missing = missing.iter().map(|json| raw_event(json).unwrap()).collect();
        Box::pin(async move { Ok(missing) })
    }

    fn state_ids<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        event: &'a EventId,
    ) -> Answer<'a, StateIds> {
        self.ask();
        let told = self.answers.states.lock().get(event).cloned();
        Box::pin(async move { told.map_or_else(cannot, Ok) })
    }

    fn event<'a>(
        &'a self,
        _: &'a ServerName,
        event: &'a EventId,
    ) -> Answer<'a, Option<Box<RawValue>>> {
        self.ask();
        let known = self.answers.events.lock().get(event).cloned();
        Box::pin(async move { Ok(known.map(|json| raw_event(&json).unwrap())) })
    }

    fn make_join<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        _: &'a UserId,
        _: Vec<RoomVersionId>,
    ) -> Answer<'a, JoinTemplate> {
        Box::pin(async { cannot() })
    }

    fn send_join<'a>(
        &'a self,
        _: &'a ServerName,
        _: &'a RoomId,
        _: &'a RawValue,
    ) -> Answer<'a, JoinAnswer> {
        Box::pin(async { cannot() })
    }
}
