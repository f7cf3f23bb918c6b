//! Several servers with a network between them that delays, loses, reorders and repeats, and falls
//! apart. It answers [`Peers`] from the inside of each server, as federation will from the outside.
//!
//! Invariant: what one server sends is either with the others, or under way, or lost; in good
//! weather nothing is lost, so that whoever delivers until the network is quiet has healed it.

#![expect(clippy::missing_panics_doc, reason = "a double says by a panic that a test failed")]

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, OnceLock, Weak},
};

use parking_lot::Mutex;
use proto::{signing::VerifyKey, verify::VerifyKeys};
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedServerName, RoomId, RoomVersionId, ServerName, UserId,
};
use serde_json::value::RawValue;
use store::{
    Change, Store,
    room::{event::Event, events},
    testing::SeededRandom,
};

use crate::{
    RoomError, Rooms,
    peers::{Answer, JoinAnswer, JoinTemplate, MissingEvents, PeerError, Peers, StateIds},
    resident::{numbers_before, raw_event},
    resolve::StateSource,
    testing,
};

/// An event on its way from one server to another.
#[derive(Clone)]
struct Parcel {
    from: OwnedServerName,
    to: OwnedServerName,
    room: OwnedRoomId,
    event: Arc<Event>,
}

/// How the network behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// One in so many is lost; 0 is none.
    pub loss: u64,
    /// One in so many comes twice.
    pub repeat: u64,
}

/// The servers and what is under way between them.
pub struct Network {
    nodes: OnceLock<Vec<Node>>,
    parcels: Mutex<VecDeque<Parcel>>,
    weather: Mutex<Weather>,
    /// Servers that hear nothing from the others.
    cut_off: Mutex<HashSet<OwnedServerName>>,
    /// The dice of the network and of what happens on it.
    pub random: SeededRandom,
}

/// A server.
pub struct Node {
    /// Its name: `a.org`, `b.org` and so on.
    pub name: OwnedServerName,
    /// Its rooms.
    pub rooms: Rooms,
    /// Its database.
    pub store: Store,
    key_id: String,
    key: VerifyKey,
}

impl Network {
    /// A network of servers on these stores, in good weather.
    pub fn new(stores: Vec<Store>, seed: u64) -> Arc<Self> {
        let network = Arc::new(Self {
            nodes: OnceLock::new(),
            parcels: Mutex::default(),
            weather: Mutex::default(),
            cut_off: Mutex::default(),
            random: SeededRandom::new(seed),
        });
        let nodes = ('a'..='z').zip(1..).zip(stores);
        let nodes = nodes.map(|((letter, seed), store)| {
            Node::new(&network, store, (&format!("{letter}.org"), seed))
        });
        let nodes = nodes.collect::<Vec<_>>();
        assert!(network.nodes.set(nodes).is_ok());
        network
    }

    /// All servers.
    pub fn nodes(&self) -> &[Node] {
        self.nodes.get().expect("the network is built")
    }

    /// The server with this name.
    pub fn node(&self, name: &ServerName) -> &Node {
        let node = self.nodes().iter().find(|node| node.name == name);
        node.expect("the server is on the network")
    }

    /// Changes the weather.
    pub fn set_weather(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    /// Makes these servers, and no others, such as hear nothing from the rest.
    pub fn cut_off(&self, servers: impl IntoIterator<Item = OwnedServerName>) {
        *self.cut_off.lock() = servers.into_iter().collect();
    }

    fn one_in(&self, many: u64) -> bool {
        many > 0 && self.random.below(many) == 0
    }

    /// Whether something gets from one server to another now.
    fn gets_through(&self, from: &ServerName, to: &ServerName) -> bool {
        let cut_off = self.cut_off.lock();
        let apart = cut_off.contains(from) != cut_off.contains(to);
        drop(cut_off);
        let loss = self.weather.lock().loss;
        !apart && !self.one_in(loss)
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.parcels.lock().is_empty()
    }

    /// Delivers one of the parcels, whichever: perhaps not, perhaps twice.
    pub async fn deliver_one(&self) {
        let parcel = {
            let mut parcels = self.parcels.lock();
            if parcels.is_empty() {
                return;
            }
            let place = self.random.below(parcels.len() as u64);
            let place = usize::try_from(place).expect("it is less than a length");
            parcels.remove(place).expect("it is less than the length")
        };
        if !self.gets_through(&parcel.from, &parcel.to) {
            return;
        }
        let repeat = self.weather.lock().repeat;
        if self.one_in(repeat) {
            self.parcels.lock().push_back(parcel.clone());
        }
        let pdu = raw_event(parcel.event.pdu().json()).expect("an event is JSON");
        let rooms = &self.node(&parcel.to).rooms;
        // A server that is not in the room, or could not ask for what is missing, takes nothing.
        if let Err(error) = rooms.receive(&parcel.from, &parcel.room, &pdu).await {
            println!("{} drops {}: {error}", parcel.to, parcel.event.event_id());
        }
    }

    /// Delivers everything that is under way.
    pub async fn deliver_parcels(&self) {
        while !self.is_quiet() {
            self.deliver_one().await;
        }
    }

    /// Loses everything that is under way.
    pub fn forget_parcels(&self) {
        self.parcels.lock().clear();
    }

    /// Takes an event that is under way out of the network: its text.
    pub fn take_parcel(&self, id: &EventId) -> String {
        let mut parcels = self.parcels.lock();
        let place = parcels.iter().position(|parcel| parcel.event.event_id() == id);
        let parcel = place.and_then(|place| parcels.remove(place)).expect("it is under way");
        parcel.event.pdu().json().to_owned()
    }

    /// Sends one server's own new events to all others.
    fn post(&self, from: &ServerName, event: &Arc<Event>) {
        if event.pdu().sender().server_name() != from {
            return;
        }
        let Some(nodes) = self.nodes.get() else { return };
        let others = nodes.iter().filter(|node| node.name != from);
        for node in others {
            self.parcels.lock().push_back(Parcel {
                from: from.to_owned(),
                to: node.name.clone(),
                room: event.pdu().room_id().to_owned(),
                event: Arc::clone(event),
            });
        }
    }
}

impl Node {
    fn new(network: &Arc<Network>, store: Store, (server, seed): (&str, u64)) -> Self {
        let mut setup = testing::setup(store.clone(), server, seed);
        let name = setup.server_name.clone();
        let link = Link { network: Arc::downgrade(network), own: name.clone() };
        setup.peers = Some(Arc::new(link));
        let (key_id, key) = (setup.signing_key.key_id(), setup.signing_key.public_key());
        let (outbox, own) = (Arc::downgrade(network), name.clone());
        store.add_listener(Arc::new(move |records| {
            let Some(network) = outbox.upgrade() else { return };
            for record in records {
                if let Change::Timeline { event, .. } = &record.change {
                    network.post(&own, event);
                }
            }
        }));
        let rooms = Rooms::new(setup);
        let key = VerifyKey::parse(&key).expect("a key of ours is a key");
        Self { name, rooms, store, key_id, key }
    }

    /// The event with this id, if the server has it.
    pub async fn event(&self, id: &EventId) -> Option<Arc<Event>> {
        self.rooms.inner.find_event(id).await.expect("the database answers")
    }

    /// The events before the latest and after the earliest, newest first.
    async fn missing(&self, question: &MissingEvents) -> Vec<Box<RawValue>> {
        let mut seen: HashSet<OwnedEventId> = question.earliest.iter().cloned().collect();
        let mut open: VecDeque<OwnedEventId> = VecDeque::new();
        for id in &question.latest {
            let Some(event) = self.event(id).await else { continue };
            open.extend(event.pdu().prev_events().iter().cloned());
        }
        let mut answer = Vec::new();
        while let Some(id) = open.pop_front() {
            if answer.len() == question.limit {
                break;
            }
            if !seen.insert(id.clone()) {
                continue;
            }
            let Some(event) = self.event(&id).await.filter(|event| event.group.is_some()) else {
                continue;
            };
            open.extend(event.pdu().prev_events().iter().cloned());
            answer.push(raw_event(event.pdu().json()).expect("an event is JSON"));
        }
        answer
    }

    async fn state_ids(&self, id: &EventId) -> Option<StateIds> {
        let event = self.event(id).await.filter(|event| event.group.is_some())?;
        let (sight, chains) = (self.rooms.sight(), self.rooms.inner.chains.clone());
        let read = self.store.read(move |snapshot| {
            let mut source =
                StateSource { snapshot, sight: &sight, chains: &chains, create: None, fresh: None };
            let (state, chain) = numbers_before(&mut source, &event)?;
            let mut ids = |numbers| {
                let loaded = events::load_all(source.snapshot, &sight.events, numbers)?;
                let ids = loaded.iter().map(|event| event.event_id().to_owned());
                Ok::<_, RoomError>(ids.collect())
            };
            Ok::<_, RoomError>(StateIds { state: ids(&state)?, auth_chain: ids(&chain)? })
        });
        Some(read.await.expect("the database answers"))
    }
}

/// One server's view of the others.
struct Link {
    network: Weak<Network>,
    own: OwnedServerName,
}

impl Link {
    fn reach(&self, server: &ServerName) -> Result<Arc<Network>, PeerError> {
        let network = self.network.upgrade().ok_or_else(|| PeerError("over".to_owned()))?;
        if network.gets_through(&self.own, server) {
            Ok(network)
        } else {
            Err(PeerError(format!("{server} does not answer")))
        }
    }
}

struct AllKeys(HashMap<(OwnedServerName, String), VerifyKey>);

impl VerifyKeys for AllKeys {
    fn find(&self, server: &ServerName, key_id: &str, _: Option<i64>) -> Option<VerifyKey> {
        self.0.get(&(server.to_owned(), key_id.to_owned())).copied()
    }
}

impl Peers for Link {
    fn keys(
        &self,
        _wanted: Vec<(OwnedServerName, Vec<String>)>,
    ) -> Answer<'_, Box<dyn VerifyKeys + Send + Sync>> {
        Box::pin(async move {
            let network = self.network.upgrade().ok_or_else(|| PeerError("over".to_owned()))?;
            let keys = network.nodes().iter();
            let keys = keys.map(|node| ((node.name.clone(), node.key_id.clone()), node.key));
            let keys: Box<dyn VerifyKeys + Send + Sync> = Box::new(AllKeys(keys.collect()));
            Ok(keys)
        })
    }

    fn missing_events<'a>(
        &'a self,
        server: &'a ServerName,
        _room: &'a RoomId,
        question: MissingEvents,
    ) -> Answer<'a, Vec<Box<RawValue>>> {
        Box::pin(async move { Ok(self.reach(server)?.node(server).missing(&question).await) })
    }

    fn state_ids<'a>(
        &'a self,
        server: &'a ServerName,
        _room: &'a RoomId,
        event: &'a EventId,
    ) -> Answer<'a, StateIds> {
        Box::pin(async move {
            let told = self.reach(server)?.node(server).state_ids(event).await;
            told.ok_or_else(|| PeerError("not found".to_owned()))
        })
    }

    fn event<'a>(
        &'a self,
        server: &'a ServerName,
        event: &'a EventId,
    ) -> Answer<'a, Option<Box<RawValue>>> {
        Box::pin(async move {
            let event = self.reach(server)?.node(server).event(event).await;
            let raw = |event: Arc<Event>| raw_event(event.pdu().json()).expect("an event is JSON");
            Ok(event.map(raw))
        })
    }

    fn make_join<'a>(
        &'a self,
        server: &'a ServerName,
        room: &'a RoomId,
        user: &'a UserId,
        versions: Vec<RoomVersionId>,
    ) -> Answer<'a, JoinTemplate> {
        Box::pin(async move {
            let network = self.reach(server)?;
            let made = network.node(server).rooms.make_join(&self.own, room, user, &versions);
            made.await.map_err(|error| PeerError(error.to_string()))
        })
    }

    fn send_join<'a>(
        &'a self,
        server: &'a ServerName,
        room: &'a RoomId,
        event: &'a RawValue,
    ) -> Answer<'a, JoinAnswer> {
        Box::pin(async move {
            let network = self.reach(server)?;
            let sent = network.node(server).rooms.accept_join(&self.own, room, event);
            sent.await.map_err(|error| PeerError(error.to_string()))
        })
    }
}
