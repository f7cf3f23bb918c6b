//! Rooms of some thousands of members: they are joined in pieces, they can be read and written, and
//! the memory for rooms counts what they take.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use proto::{
    number::{EventNumber, StateGroup},
    resolve::Source,
    rules::Rules,
    state::StateMap,
};
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, UserId, server_name};
use serde_json::{Value, json, value::RawValue};
use store::{
    Snapshot, Store,
    numbers::CREATE,
    room::events,
    testing::{count_groups, for_each_engine},
};

use super::world::{World, own, user};
use crate::{
    Membership, Outcome, Rooms, Settings, Setup,
    membership::OwnMembership,
    query::{MembersRequest, Reading},
    resolve::StateSource,
    testing::{
        self,
        crowd::{Branch, Crowd, Deed, admin, member, powers},
    },
};

type Event = Box<RawValue>;
type Numbers = BTreeSet<EventNumber>;

const MEMBERS: usize = 1500;
/// No change stores more of them.
const PIECE_MAX: usize = 500;
/// Memory for rooms: a little more than two rooms like this take.
const ROOMS_BYTES: u64 = 700_000;

struct Large {
    world: World,
    crowd: Arc<Crowd>,
    room: OwnedRoomId,
}

/// A server that has joined a large room of other servers, where Alice is as powerful as anybody.
async fn join_large(store: &Store) -> Large {
    // It takes its time to sign so many events.
    static CROWD: OnceLock<Arc<Crowd>> = OnceLock::new();
    let make = || Arc::new(Crowd::new(Rules::of("12").unwrap(), MEMBERS, &user("alice")));
    join_crowd(store, Arc::clone(CROWD.get_or_init(make))).await
}

async fn join_crowd(store: &Store, crowd: Arc<Crowd>) -> Large {
    let setup = testing::setup(store.clone(), "example.org", 1);
    let settings = Settings { rooms_bytes: ROOMS_BYTES, ..Settings::default() };
    setup.settings.store(Arc::new(settings));
    let rooms = Rooms::new(Setup { peers: Some(crowd.clone()), ..setup });
    let room = crowd.room_id.clone();
    let via = vec![server_name!("s1.example").to_owned()];
    rooms.join(OwnMembership { via, ..own(&user("alice"), &room) }).await.unwrap();
    Large { world: World { rooms }, crowd, room }
}

#[tokio::test]
async fn a_large_room_goes_in_in_pieces() {
    for_each_engine(async |store: Store| {
        let alice = user("alice");
        let begin = count_groups(&store).await;
        join_crowd(&store, Arc::new(Crowd::new(Rules::of("11").unwrap(), 10, &alice))).await;
        let small = count_groups(&store).await;
        let Large { world, room, .. } = join_large(&store).await;
        let large = count_groups(&store).await;
        // Both the events and the members go in in pieces; the first of each a small room has, too.
        let more = (large - small) - (small - begin);
        let least = 2 * (MEMBERS / PIECE_MAX - 1);
        assert!(more >= i64::try_from(least).unwrap(), "{more} more groups of changes");
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(view.joined_count(), MEMBERS + 1);
        world.say(&alice, &room, "so many of you").await;
        let reading = Reading { user: &alice, device: None, room_id: &room };
        assert_eq!(world.rooms.joined_members(reading).await.unwrap().len(), MEMBERS + 1);
        let left = MembersRequest { membership: Some(Membership::Leave), ..Default::default() };
        assert!(world.rooms.members(reading, left).await.unwrap().is_empty());
    })
    .await;
}

/// What one side of a fork does: its admin changes the power levels, bans members and lets others
/// come; and members invite, change their names and leave.
fn side(crowd: &Crowd, branch: &mut Branch, (me, number): (&UserId, usize)) -> Vec<Event> {
    let admin = admin(number);
    let powers = powers(crowd.rules, me, (&member(4), 10));
    let (first, other) = (member(20 + number), member(30 + number));
    let guest = member(5000 + number);
    let mut deeds = vec![(admin.clone(), "m.room.power_levels", String::new(), powers)];
    for (sender, target, membership) in [
        (&first, &guest, "invite"),
        (&guest, &guest, "join"),
        (&admin, &first, "ban"),
        (&admin, &member(40), "ban"),
        (&other, &other, "leave"),
        (&other, &other, "join"),
    ] {
        let content = json!({ "membership": membership });
        deeds.push((sender.clone(), "m.room.member", target.to_string(), content));
    }
    write_all(crowd, branch, deeds)
}

/// What both sides know: those whom one of them is going to ban have let others in.
fn beginning(crowd: &Crowd, branch: &mut Branch) -> Vec<Event> {
    let mut deeds = Vec::new();
    for number in [1, 2] {
        let (first, guest) = (member(20 + number), member(6000 + number));
        for (sender, membership) in [(first, "invite"), (guest.clone(), "join")] {
            let content = json!({ "membership": membership });
            deeds.push((sender, "m.room.member", guest.to_string(), content));
        }
    }
    write_all(crowd, branch, deeds)
}

fn write_all(
    crowd: &Crowd,
    branch: &mut Branch,
    deeds: Vec<(OwnedUserId, &str, String, Value)>,
) -> Vec<Event> {
    let write = |(sender, event_type, state_key, content): (OwnedUserId, &str, String, Value)| {
        let deed = Deed { sender: &sender, event_type, state_key: &state_key, content };
        crowd.write(branch, &deed)
    };
    deeds.into_iter().map(write).collect()
}

async fn receive(large: &Large, event: &RawValue) -> OwnedEventId {
    let origin = server_name!("s1.example");
    let received = large.world.rooms.receive(origin, &large.room, event).await.unwrap();
    assert_ne!(received.outcome, Outcome::Rejected);
    received.event_id
}

/// Every event in the auth chains of these events, found by walking.
fn auth_chain(snapshot: &mut Snapshot<'_>, rooms: &Rooms, state: &StateMap) -> Numbers {
    let mut chain = Numbers::new();
    let mut open = state.values().copied().collect::<Vec<_>>();
    while !open.is_empty() {
        let loaded = events::load_all(snapshot, rooms.events(), &open).unwrap();
        let ids = loaded.iter().flat_map(|event| event.pdu().auth_events().to_vec());
        let known = events::find_all(snapshot, &ids.collect::<Vec<_>>()).unwrap();
        open = known.values().map(|known| known.number).collect();
        open.retain(|number| chain.insert(*number));
    }
    chain
}

/// Compares what the index says about the auth chains of any two of some states with what walking
/// says.
fn check_differences(snapshot: &mut Snapshot<'_>, rooms: &Rooms, groups: &[StateGroup]) {
    let (sight, chains) = (rooms.sight(), rooms.inner.chains.clone());
    let mut walked = Vec::new();
    for group in groups {
        let state = rooms.groups().map(snapshot, *group).unwrap();
        let chain = auth_chain(snapshot, rooms, &state);
        walked.push((state, chain));
    }
    let mut most = 0;
    for (one, of_one) in &walked {
        for (other, of_other) in &walked {
            let create = one.get(&CREATE).copied();
            let mut source =
                StateSource { snapshot, sight: &sight, chains: &chains, create, fresh: None };
            let found = source.auth_difference(&[one.clone(), other.clone()]).unwrap();
            let found = found.into_iter().collect::<Numbers>();
            assert_eq!(found, of_one.symmetric_difference(of_other).copied().collect());
            most = most.max(found.len());
        }
    }
    assert!(most >= 8, "the sides differ");
}

#[tokio::test]
async fn a_fork_of_a_large_room_is_resolved() {
    for_each_engine(async |store: Store| {
        let alice = user("alice");
        let large = join_large(&store).await;
        let Large { world, crowd, room } = &large;
        let last = world.say(&alice, room, "what both sides know").await;
        let reading = Reading { user: &alice, device: None, room_id: room };
        let last = world.rooms.event(reading, &last).await.unwrap();
        let mut trunk = crowd.branch.clone();
        trunk.follow(last.event.pdu());
        for event in beginning(crowd, &mut trunk) {
            receive(&large, &event).await;
        }
        let mut ends = Vec::new();
        for number in [1, 2] {
            let mut branch = trunk.clone();
            let events = side(crowd, &mut branch, (&alice, number));
            for event in events {
                ends.push(receive(&large, &event).await);
            }
        }
        let rooms = world.rooms.clone();
        let check = move |snapshot: &mut Snapshot<'_>| {
            let group = |id: &OwnedEventId| {
                let event = events::find_by_id(snapshot, rooms.events(), id).unwrap();
                event.and_then(|event| event.group).unwrap()
            };
            let groups = ends.iter().map(group).collect::<Vec<_>>();
            check_differences(snapshot, &rooms, &groups);
            Ok::<_, store::Error>(())
        };
        store.read(check).await.unwrap();
        for number in [21, 22, 40] {
            assert_eq!(world.membership(&member(number), room).await, Membership::Ban);
        }
        world.say(&alice, room, "both sides meet").await;
        let kept = world.rooms.find(room).await.unwrap().unwrap().view();
        assert_eq!(kept.tips.len(), 1);
        let loaded = Rooms::new(testing::setup(store.clone(), "example.org", 2));
        let loaded = loaded.find(room).await.unwrap().unwrap().view();
        assert_eq!(loaded.state(), kept.state());
    })
    .await;
}

#[tokio::test]
async fn a_large_room_falls_out_of_memory_once_others_are_used() {
    for_each_engine(async |store: Store| {
        let alice = user("alice");
        let Large { world, room, .. } = join_large(&store).await;
        let rooms = &world.rooms;
        let weight = rooms.stats().rooms.bytes;
        assert!(weight > 100 * MEMBERS as u64, "{weight} bytes");
        let misses = async || {
            let before = rooms.stats().rooms.misses;
            rooms.find(&room).await.unwrap().unwrap();
            rooms.stats().rooms.misses - before
        };
        assert_eq!(misses().await, 0, "it is kept");
        while rooms.stats().rooms.bytes + 100_000 < ROOMS_BYTES {
            world.public_room(&alice, Rules::of("12").unwrap()).await;
        }
        assert_eq!(misses().await, 0, "it was used last");
        for _ in 0..60 {
            world.public_room(&alice, Rules::of("12").unwrap()).await;
            assert!(rooms.stats().rooms.bytes <= ROOMS_BYTES);
        }
        assert_eq!(misses().await, 1, "others have taken its place");
        assert_eq!(misses().await, 0, "and it is kept again");
    })
    .await;
}

#[tokio::test]
async fn a_room_that_grows_is_weighed_again() {
    for_each_engine(async |store: Store| {
        let alice = user("alice");
        let world = World { rooms: testing::rooms(store) };
        let room = world.public_room(&alice, Rules::of("12").unwrap()).await;
        let before = world.rooms.stats().rooms.bytes;
        for number in 0..200 {
            world.join(&user(&format!("guest{number}")), &room).await.unwrap();
        }
        let grown = world.rooms.stats().rooms.bytes - before;
        assert!(grown > 200 * 100, "{grown} bytes");
    })
    .await;
}
