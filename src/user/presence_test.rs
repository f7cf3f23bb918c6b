//! Presence: the states of the picture above `presence.rs`, several devices, and who may look.

use ruma::{room_id, user_id};
use store::testing::Database;

use super::*;
use crate::{
    presence_record::{ACTIVE_MS, IDLE_MS, SYNC_GRACE_MS},
    session::NewSession,
    testing::{Someone, World},
};

const ONLINE: PresenceState = PresenceState::Online;
const UNAVAILABLE: PresenceState = PresenceState::Unavailable;
const OFFLINE: PresenceState = PresenceState::Offline;

async fn world() -> (Database, World, Someone, Someone) {
    let database = Database::sqlite();
    let world = World::new(database.open().await).await;
    let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
    let room = world.room(room_id!("!r:example.org")).await;
    for user in [&alice, &bob] {
        world.rooms.join(&user.requester, room);
    }
    (database, world, alice, bob)
}

/// Lets time pass, with everything that is due on the way.
async fn pass(world: &World, milliseconds: u64) {
    let end = world.context.now_ms() + milliseconds;
    while let Some(due) = world.presence.next_due_ms().filter(|due| *due <= end) {
        world.clock.set(due.max(world.context.now_ms()));
        world.presence.expire(world.context.now_ms()).await.unwrap();
    }
    world.clock.set(end);
}

async fn state(world: &World, of: &Someone, by: &Someone) -> (PresenceState, bool) {
    let found = world.presence.find(&by.requester, &of.user_id).await.unwrap();
    (found.state, found.currently_active)
}

#[tokio::test]
async fn syncing_makes_online_and_its_end_offline() {
    let (_database, world, alice, bob) = world().await;
    assert_eq!(state(&world, &alice, &bob).await, (OFFLINE, false));
    let sync = world.presence.syncing(&alice.requester, &ONLINE).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await, (ONLINE, true));
    pass(&world, ACTIVE_MS).await;
    assert_eq!(state(&world, &alice, &bob).await, (ONLINE, false));
    // A sync that begins within the grace keeps her online.
    drop(sync);
    pass(&world, SYNC_GRACE_MS - 1).await;
    drop(world.presence.syncing(&alice.requester, &ONLINE).await.unwrap());
    pass(&world, SYNC_GRACE_MS - 1).await;
    assert_eq!(state(&world, &alice, &bob).await, (ONLINE, false));
    pass(&world, 1).await;
    assert_eq!(state(&world, &alice, &bob).await, (OFFLINE, false));
    assert_eq!(world.presence.next_due_ms(), None);
}

#[tokio::test]
async fn a_sync_that_sets_nothing_changes_nothing() {
    let (_database, world, alice, bob) = world().await;
    let _sync = world.presence.syncing(&alice.requester, &OFFLINE).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await, (OFFLINE, false));
    world.set(|settings| settings.presence_enabled = false);
    let _sync = world.presence.syncing(&alice.requester, &ONLINE).await.unwrap();
    world.presence.set(&alice.requester, ONLINE, None).await.unwrap();
    world.presence.active(&alice.requester).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await, (OFFLINE, false));
    assert_eq!(world.ephemeral.counter(), 0);
}

#[tokio::test]
async fn idleness_shows_and_ends_with_an_act() {
    let (_database, world, alice, bob) = world().await;
    let _sync = world.presence.syncing(&alice.requester, &ONLINE).await.unwrap();
    pass(&world, IDLE_MS).await;
    assert_eq!(state(&world, &alice, &bob).await, (UNAVAILABLE, false));
    // Going on syncing is nothing that the user does.
    let _again = world.presence.syncing(&alice.requester, &ONLINE).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await, (UNAVAILABLE, false));
    world.presence.active(&alice.requester).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await, (ONLINE, true));
    let found = world.presence.find(&bob.requester, &alice.user_id).await.unwrap();
    assert_eq!(found.last_active_ago_ms, Some(0));
}

#[tokio::test]
async fn the_best_device_counts() {
    let (_database, world, alice, bob) = world().await;
    let second = world.sessions.open(&alice.user_id, NewSession::default()).await.unwrap();
    let phone = world.authenticate(&second.tokens.access_token).await.unwrap();
    let _desk = world.presence.syncing(&alice.requester, &UNAVAILABLE).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await.0, UNAVAILABLE);
    let sync = world.presence.syncing(&phone, &ONLINE).await.unwrap();
    assert_eq!(state(&world, &alice, &bob).await.0, ONLINE);
    drop(sync);
    pass(&world, SYNC_GRACE_MS).await;
    assert_eq!(state(&world, &alice, &bob).await.0, UNAVAILABLE);
}

#[tokio::test]
async fn a_status_is_told_and_kept() {
    let (_database, world, alice, bob) = world().await;
    let status = Some("in a meeting".to_owned());
    world.presence.set(&alice.requester, UNAVAILABLE, status.clone()).await.unwrap();
    let found = world.presence.find(&bob.requester, &alice.user_id).await.unwrap();
    assert_eq!((found.state, found.status_msg), (UNAVAILABLE, status.clone()));
    let counter = world.ephemeral.counter();
    world.presence.set(&alice.requester, UNAVAILABLE, status.clone()).await.unwrap();
    assert_eq!(world.ephemeral.counter(), counter);
    pass(&world, SYNC_GRACE_MS).await;
    let changed = world.presence.changed_since(counter);
    assert_eq!(changed.len(), 1);
    assert_eq!((&changed[0].state, &changed[0].status_msg), (&OFFLINE, &status));
    assert_eq!(changed[0].rooms.len(), 1);
    let long = Some("x".repeat(MAX_STATUS_BYTES + 1));
    let refused = world.presence.set(&alice.requester, ONLINE, long).await;
    assert!(matches!(refused, Err(Error::InvalidParam(_))));
    let refused = world.presence.set(&alice.requester, "busy".into(), None).await;
    assert!(matches!(refused, Err(Error::InvalidParam(_))));
}

#[tokio::test]
async fn only_those_who_share_a_room_look() {
    let (_database, world, alice, _) = world().await;
    let carol = world.someone("carol").await;
    let hidden = world.presence.find(&carol.requester, &alice.user_id).await;
    assert!(matches!(hidden, Err(Error::Forbidden(_))));
    let unknown = world.presence.find(&carol.requester, user_id!("@nobody:example.org")).await;
    assert!(matches!(unknown, Err(Error::Forbidden(_))));
    assert_eq!(state(&world, &carol, &carol).await, (OFFLINE, false));
}

#[tokio::test]
async fn readers_hear_of_each_change_once() {
    let (_database, world, alice, bob) = world().await;
    let _one = world.presence.syncing(&alice.requester, &ONLINE).await.unwrap();
    let counter = world.ephemeral.counter();
    let _two = world.presence.syncing(&alice.requester, &ONLINE).await.unwrap();
    world.presence.active(&alice.requester).await.unwrap();
    assert_eq!(world.ephemeral.counter(), counter);
    world.presence.set(&bob.requester, ONLINE, None).await.unwrap();
    let changed = world.presence.changed_since(counter);
    assert!(changed.len() == 1 && changed[0].user_id == bob.user_id);
    assert_eq!(world.presence.changed_since(0).len(), 2);
    assert!(world.presence.changed_since(world.ephemeral.counter()).is_empty());
}
