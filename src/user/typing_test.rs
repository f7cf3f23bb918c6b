//! Typing: who is shown, timeouts, and what readers hear.

use ruma::room_id;
use store::testing::Database;

use super::*;
use crate::testing::{Someone, World};

fn the_room() -> &'static RoomId {
    room_id!("!r:example.org")
}

async fn room() -> (Database, World, RoomNumber, Someone, Someone) {
    let database = Database::sqlite();
    let world = World::new(database.open().await).await;
    let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
    let room = world.room(the_room()).await;
    for user in [&alice, &bob] {
        world.rooms.join(&user.requester, room);
    }
    (database, world, room, alice, bob)
}

fn users(world: &World, room: RoomNumber) -> Vec<String> {
    let room = world.typing.in_room(room);
    room.map(|room| room.users.iter().map(|user| user.localpart().to_owned()).collect())
        .unwrap_or_default()
}

#[tokio::test]
async fn typists_come_and_go() {
    let (_database, world, number, alice, bob) = room().await;
    let start = world.ephemeral.counter();
    let set = async |user: &Someone, timeout_ms: Option<u64>| {
        world.typing.set(&user.requester, the_room(), timeout_ms).await.unwrap();
    };
    // Nobody typed, nobody stops.
    set(&alice, None).await;
    assert_eq!(world.ephemeral.counter(), start);
    assert!(world.typing.in_room(number).is_none());

    set(&bob, Some(30_000)).await;
    set(&alice, Some(30_000)).await;
    assert_eq!(users(&world, number), ["alice", "bob"]);
    let both = world.ephemeral.counter();
    // Going on typing is no change.
    set(&alice, Some(60_000)).await;
    assert_eq!(world.ephemeral.counter(), both);
    assert_eq!(world.typing.changed_since(start).unwrap().len(), 1);
    assert_eq!(world.typing.changed_since(both).unwrap().len(), 0);
    let busy = |wanted: bool| world.typing.busy(|room| wanted && room == number);
    assert!(busy(false).is_empty());
    assert_eq!(busy(true).iter().map(|room| room.users.len()).collect::<Vec<_>>(), [2]);

    set(&bob, None).await;
    assert_eq!(users(&world, number), ["alice"]);
    set(&alice, Some(0)).await;
    assert!(users(&world, number).is_empty());
    // That everybody stopped is a change, too.
    assert!(busy(true).is_empty());
    let changed = world.typing.changed_since(both).unwrap();
    assert!(changed.len() == 1 && changed[0].users.is_empty());
    assert_eq!(changed[0].changed, world.ephemeral.counter());
}

#[tokio::test]
async fn typists_time_out() {
    let (_database, world, number, alice, bob) = room().await;
    world.typing.set(&alice.requester, the_room(), Some(10_000)).await.unwrap();
    world.typing.set(&bob.requester, the_room(), Some(10_000_000)).await.unwrap();
    let start = world.context.now_ms();
    assert_eq!(world.typing.next_due_ms(), Some(start + 10_000));
    world.typing.expire(start + 9_999);
    assert_eq!(users(&world, number).len(), 2);
    world.typing.expire(start + 10_000);
    assert_eq!(users(&world, number), ["bob"]);
    assert_eq!(world.typing.next_due_ms(), Some(start + MAX_TIMEOUT_MS));
    world.typing.expire(start + MAX_TIMEOUT_MS);
    assert!(users(&world, number).is_empty());
    assert_eq!(world.typing.next_due_ms(), None);
}

#[tokio::test]
async fn only_members_type() {
    let (_database, world, _, _, _) = room().await;
    let carol = world.someone("carol").await;
    let refused = world.typing.set(&carol.requester, the_room(), Some(1000)).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn a_listener_hears_what_can_be_read() {
    let (_database, world, number, alice, _) = room().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (typing, sink) = (world.typing.clone(), Arc::clone(&heard));
    world.ephemeral.add_listener(Arc::new(move |counter, change| {
        let EphemeralChange::Typing { room } = change else { panic!("no typing") };
        let readable = typing.changed_since(counter - 1).unwrap();
        sink.lock().push((counter, *room, readable.len()));
    }));
    world.typing.set(&alice.requester, the_room(), Some(1000)).await.unwrap();
    let counter = world.ephemeral.counter();
    assert_eq!(*heard.lock(), [(counter, number, 1)]);
    assert_ne!(world.ephemeral.epoch(), world.restarted().await.ephemeral.epoch());
}

#[test]
fn a_reader_is_told_that_a_change_is_forgotten() {
    let mut state = State::default();
    for number in 1..=20_001 {
        let (room, changed) = (RoomNumber(number), u64::try_from(number).unwrap());
        state.rooms.insert(room, Room { changed, ..Room::default() });
        state.by_change.insert(changed, room);
        state.make_room();
    }
    assert_eq!(
        (state.rooms.len(), state.by_change.len(), state.forgotten),
        (MAX_ROOMS, MAX_ROOMS, 1)
    );
}
