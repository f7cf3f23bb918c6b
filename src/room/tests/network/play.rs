//! What happens on the network: users of all servers talk, come and go, ban each other and change
//! powers, all at once and in bad weather. Then it clears up, each server says one more thing, and
//! all hold the same.

use std::{collections::BTreeMap, sync::Arc};

use proto::rules::Rules;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Value, json};
use store::{
    Position,
    room::{changes, events},
    testing::Database,
};

use super::fake::{Network, Node, Weather};
use crate::{
    Outcome, RoomError, Submitted,
    create::CreateRoom,
    membership::OwnMembership,
    tests::world::{World, other, own, room_of},
};

const SERVERS: usize = 3;
/// Besides its admin.
const USERS_PER_SERVER: u64 = 2;
const STEPS: usize = 60;

/// A play: the servers, their room, and what was acknowledged.
struct Play {
    network: Arc<Network>,
    room: OwnedRoomId,
    acknowledged: Vec<OwnedEventId>,
}

fn user(node: &Node, name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:{}", node.name)).unwrap()
}

fn world(node: &Node) -> World {
    World { rooms: node.rooms.clone() }
}

impl Play {
    /// A public room with an admin of each server in it, who cannot lose their power.
    async fn begin(network: Arc<Network>, rules: &'static Rules) -> Self {
        let nodes = network.nodes();
        let admins = nodes.iter().map(|node| user(node, "admin")).collect::<Vec<_>>();
        let preset = ruma::api::client::room::create_room::v3::RoomPreset::PublicChat;
        let mut request =
            CreateRoom { version: Some(rules.version()), ..room_of(&admins[0], preset) };
        if rules.privileged_creators() {
            let content = json!({ "additional_creators": admins });
            request.creation_content = Some(serde_json::value::to_raw_value(&content).unwrap());
        } else {
            let levels = admins.iter().map(|admin| (admin.to_string(), 100.into()));
            let users = levels.collect::<serde_json::Map<String, Value>>();
            let content = json!({ "users": users });
            request.power_level_content_override =
                Some(serde_json::value::to_raw_value(&content).unwrap());
        }
        let room = nodes[0].rooms.create(request).await.unwrap();
        for (node, admin) in nodes.iter().zip(&admins).skip(1) {
            let via = vec![nodes[0].name.clone()];
            let request = OwnMembership { via, ..own(admin, &room) };
            node.rooms.join(request).await.unwrap();
        }
        Self { network, room, acknowledged: Vec::new() }
    }

    fn roll(&self, bound: u64) -> u64 {
        self.network.random.below(bound)
    }

    fn pick<'n>(&self, nodes: &'n [Node]) -> &'n Node {
        let place = self.roll(u64::try_from(nodes.len()).unwrap());
        &nodes[usize::try_from(place).unwrap()]
    }

    fn somebody(&self, node: &Node) -> OwnedUserId {
        user(node, &format!("user{}", self.roll(USERS_PER_SERVER)))
    }

    /// Something that somebody does somewhere; it may well be refused.
    async fn act(&self) -> Result<Submitted, RoomError> {
        let nodes = self.network.nodes();
        let node = self.pick(nodes);
        let (world, room) = (world(node), &self.room);
        let (admin, one) = (user(node, "admin"), self.somebody(node));
        let target = self.somebody(self.pick(nodes));
        let number = self.roll(1_000_000);
        match self.roll(12) {
            0..=2 => {
                let content = json!({ "body": number.to_string() });
                world.submit(&one, room, ("m.room.message", None, content)).await
            }
            3 | 4 => world.join(&one, room).await,
            5 => world.leave(&one, room).await,
            6 => world.rooms.ban(other(&admin, &target, room)).await,
            7 => world.rooms.unban(other(&admin, &target, room)).await,
            8 => world.rooms.kick(other(&one, &target, room)).await,
            9 => {
                let content = json!({ "name": number.to_string() });
                world.submit(&one, room, ("m.room.name", Some(""), content)).await
            }
            10 => {
                let key = format!("key{}", self.roll(3));
                let content = json!({ "number": number });
                world.submit(&one, room, ("org.example.state", Some(&key), content)).await
            }
            _ => {
                let level = [0, 50, 75][usize::try_from(self.roll(3)).unwrap()];
                self.set_power(&world, &admin, &target, level).await
            }
        }
    }

    async fn set_power(
        &self,
        world: &World,
        admin: &UserId,
        target: &UserId,
        level: i64,
    ) -> Result<Submitted, RoomError> {
        let view = world.rooms.find(&self.room).await?.unwrap().view();
        let levels = view.state_pdu(store::numbers::POWER_LEVELS).unwrap();
        let mut content = serde_json::from_str::<Value>(levels.content()).unwrap();
        content["users"][target.as_str()] = level.into();
        world.submit(admin, &self.room, ("m.room.power_levels", Some(""), content)).await
    }

    /// Acts and deliveries in any order, in changing weather.
    async fn storm(&mut self) {
        let nodes = self.network.nodes();
        self.network.set_weather(Weather { loss: 4, repeat: 6 });
        for step in 0..STEPS {
            if step == STEPS / 3 {
                let alone = self.pick(nodes);
                println!("{} is cut off", alone.name);
                self.network.cut_off([alone.name.clone()]);
            }
            if step == 2 * STEPS / 3 {
                println!("all are together again");
                self.network.cut_off([]);
            }
            let (one, two, ()) = tokio::join!(self.act(), self.act(), self.network.deliver_one());
            for done in [one, two] {
                match done {
                    Ok(submitted) => self.acknowledged.push(submitted.event_id),
                    Err(RoomError::Denied(_) | RoomError::Forbidden(_)) => {}
                    Err(error) => panic!("neither done nor denied: {error}"),
                }
            }
        }
        self.network.set_weather(Weather::default());
    }

    /// Everything gets through; each server says one more thing.
    async fn clear_up(&mut self) {
        self.network.deliver_parcels().await;
        for node in self.network.nodes() {
            let said = world(node).say(&user(node, "admin"), &self.room, "at last").await;
            self.acknowledged.push(said);
        }
        self.network.deliver_parcels().await;
    }

    /// Finds the first event around which servers hold different states, to say more than that they
    /// disagree in the end.
    async fn check_each_event(&self) {
        let nodes = self.network.nodes();
        for id in &self.acknowledged {
            let mut first: Option<(Outcome, BTreeMap<_, _>)> = None;
            for node in nodes {
                let event = node.rooms.inner.find_event(id).await.unwrap().unwrap();
                let Some(group) = event.group else { continue };
                let after = state_after(node, group).await;
                let Some((outcome, expected)) = &first else {
                    first = Some((event.outcome, after));
                    continue;
                };
                for key in expected.keys().chain(after.keys()) {
                    assert_eq!(
                        expected.get(key),
                        after.get(key),
                        "{key:?} after {id} ({:?}) at {}: {outcome:?} elsewhere, {:?} here",
                        event.pdu().prev_events(),
                        node.name,
                        event.outcome,
                    );
                }
            }
        }
    }

    async fn check(&self) {
        self.check_each_event().await;
        let mut states = Vec::new();
        for node in self.network.nodes() {
            let state = state_of(node, &self.room).await;
            self.check_told(node).await;
            self.check_acknowledged(node).await;
            states.push(state);
        }
        for (node, state) in self.network.nodes().iter().zip(&states).skip(1) {
            let first = &states[0];
            for (key, event) in first {
                assert_eq!(state.get(key), Some(event), "{key:?} at {}", node.name);
            }
            assert_eq!(state.len(), first.len(), "at {}", node.name);
        }
    }

    /// The state changes that a reader was told of make the current state.
    async fn check_told(&self, node: &Node) {
        let view = node.rooms.find(&self.room).await.unwrap().unwrap().view();
        let groups = node.rooms.groups().clone();
        let (number, state) = (view.number(), view.state().clone());
        let read = node.store.read(move |snapshot| {
            let newest = snapshot.position()?;
            let all = changes::list_between(snapshot, number, Position(0), newest, 100_000)?;
            // A server that joined later got the state before its first change as a whole.
            let first = groups.parent(snapshot, all[0].group)?;
            let mut told = match first {
                Some(first) => groups.map(snapshot, first)?,
                None => proto::state::StateMap::new(),
            };
            for change in &all {
                assert_eq!(told.get(&change.key).copied(), change.old);
                match change.new {
                    Some(new) => told.insert(change.key, new),
                    None => told.remove(&change.key),
                };
            }
            let stored = groups.map(snapshot, all[all.len() - 1].group)?;
            assert!(stored == state, "the stored group is the current state");
            Ok::<_, store::Error>(told == state)
        });
        assert!(read.await.unwrap(), "what {} told is not what it holds", node.name);
    }

    async fn check_acknowledged(&self, node: &Node) {
        let ids = self.acknowledged.clone();
        let known = node.store.read(move |snapshot| events::find_all(snapshot, &ids));
        let known: std::collections::HashMap<OwnedEventId, events::Known> = known.await.unwrap();
        for id in &self.acknowledged {
            let known = known.get(id).unwrap_or_else(|| panic!("{id} is not at {}", node.name));
            assert!(known.has_state, "{id} is only an outlier at {}", node.name);
            assert_ne!(known.outcome, Outcome::Outlier);
        }
    }
}

/// A stored state by ids.
async fn state_after(
    node: &Node,
    group: store::StateGroup,
) -> BTreeMap<(String, String), OwnedEventId> {
    let (cache, groups) = (node.rooms.events().clone(), node.rooms.groups().clone());
    let read = node.store.read(move |snapshot| {
        let state = groups.map(snapshot, group)?;
        let numbers = state.values().copied().collect::<Vec<_>>();
        events::load_all(snapshot, &cache, &numbers)
    });
    by_id(&read.await.unwrap())
}

fn by_id(state: &[Arc<store::room::event::Event>]) -> BTreeMap<(String, String), OwnedEventId> {
    let entries = state.iter().map(|event| {
        let pdu = event.pdu();
        let key = (pdu.type_str().to_owned(), pdu.state_key().unwrap().to_owned());
        (key, event.event_id().to_owned())
    });
    entries.collect()
}

/// The current state by ids.
async fn state_of(node: &Node, room: &OwnedRoomId) -> BTreeMap<(String, String), OwnedEventId> {
    let view = node.rooms.find(room).await.unwrap().unwrap().view();
    state_after(node, view.group()).await
}

async fn play(open: fn() -> Database, rules: &'static Rules, seed: u64) {
    println!("room version {}, seed {seed}", rules.id);
    let databases = (0..SERVERS).map(|_| open()).collect::<Vec<_>>();
    let mut stores = Vec::new();
    for database in &databases {
        stores.push(database.open().await);
    }
    let network = Network::new(stores.clone(), seed);
    let mut play = Play::begin(Arc::clone(&network), rules).await;
    play.storm().await;
    play.clear_up().await;
    play.check().await;
    for store in stores {
        store.close().await;
    }
}

#[tokio::test]
async fn after_a_storm_all_servers_hold_the_same_on_sqlite() {
    for rules in Rules::all() {
        for seed in 1..=3 {
            play(Database::sqlite, rules, seed).await;
        }
    }
}

#[tokio::test]
async fn after_a_storm_all_servers_hold_the_same_on_postgres() {
    for rules in Rules::all() {
        play(Database::postgres, rules, 4).await;
    }
}
