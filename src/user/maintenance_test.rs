//! The clockwork does what is due.

use ruma::room_id;
use store::testing::Database;

use super::*;
use crate::testing::World;

#[tokio::test]
async fn what_is_due_is_done() {
    let database = Database::sqlite();
    let world = World::new(database.open().await).await;
    let alice = world.someone("alice").await;
    let room_id = room_id!("!r:example.org");
    let room = world.room(room_id).await;
    world.rooms.join(&alice.requester, room);
    let (typing, presence) = (world.typing.clone(), world.presence.clone());
    let mut clockwork =
        Maintenance::new(world.context.clone(), world.sessions.clone(), typing, presence);
    world.typing.set(&alice.requester, room_id, Some(1000)).await.unwrap();
    world
        .presence
        .set(&alice.requester, ruma::presence::PresenceState::Online, None)
        .await
        .unwrap();
    let start = world.ephemeral.counter();
    clockwork.run_due().await;
    assert_eq!(world.ephemeral.counter(), start);
    world.clock.advance(FLUSH_EVERY_MS);
    world.authenticate(&alice.session.tokens.access_token).await.unwrap();
    clockwork.run_due().await;
    assert!(world.typing.in_room(room).unwrap().users.is_empty());
    assert_eq!(world.ephemeral.counter(), start + 2);
    let devices = world.restarted().await.sessions.list_devices(&alice.user_id).await.unwrap();
    assert_eq!(devices[0].last_seen_ts, Some(world.context.now_ms()));
}

#[tokio::test]
async fn the_clockwork_wakes_up_for_what_comes_sooner() {
    let database = Database::sqlite();
    let world = World::new(database.open().await).await;
    let alice = world.someone("alice").await;
    let room_id = room_id!("!r:example.org");
    let room = world.room(room_id).await;
    world.rooms.join(&alice.requester, room);
    let (typing, presence) = (world.typing.clone(), world.presence.clone());
    let clockwork =
        Maintenance::new(world.context.clone(), world.sessions.clone(), typing, presence);
    let task = tokio::spawn(clockwork.run());
    tokio::task::yield_now().await;
    world.typing.set(&alice.requester, room_id, Some(1)).await.unwrap();
    world.clock.advance(1);
    // It would sleep for a minute, had it not been woken.
    let stopped = async {
        while !world.typing.in_room(room).unwrap().users.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stopped).await.unwrap();
    task.abort();
}
