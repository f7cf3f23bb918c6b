//! What is new gets its number in the change that names it, and one number only.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures_util::future::join_all;
use proto::number::StateKeyNumber;
use ruma::{RoomId, api::client::room::create_room::v3::RoomPreset};
use serde_json::json;
use store::testing::{Database, count_groups};

use super::world::{World, each_world, room_of, user};
use crate::{Membership, create::CreateRoom, numbering::Numbering, testing};

const TYPE: &str = "org.example.seat";

async fn key(world: &World, state_key: &str) -> StateKeyNumber {
    let pair = (TYPE.to_owned(), state_key.to_owned());
    world.rooms.inner.find_keys(&[pair]).await.unwrap()[0].unwrap()
}

/// Whether the room's committed state has something under a key.
async fn has(world: &World, room: &RoomId, state_key: &str) -> bool {
    let key = key(world, state_key).await;
    let room = world.rooms.find(room).await.unwrap().unwrap();
    room.view().state_event(key).is_some()
}

async fn groups(world: &World) -> i64 {
    count_groups(&world.rooms.inner.setup.store).await
}

/// Uses one number of every block, so that the blocks are there.
async fn warm(world: &World, room: &RoomId) {
    let alice = user("alice");
    world.submit(&alice, room, (TYPE, Some("warm"), json!({}))).await.unwrap();
    world.invite(&alice, &user("warm"), room).await.unwrap();
}

#[tokio::test]
async fn what_is_new_costs_no_commit_of_its_own() {
    each_world(async |world| {
        let alice = user("alice");
        let request = room_of(&alice, RoomPreset::PublicChat);
        let room = world.rooms.create(request.clone()).await.unwrap();
        warm(&world, &room).await;
        let before = groups(&world).await;
        world.submit(&alice, &room, (TYPE, Some("1"), json!({}))).await.unwrap();
        assert_eq!(groups(&world).await, before + 1, "a new state key");
        let reads = || world.rooms.inner.setup.store.stats().read_waits.count;
        let read = reads();
        world.submit(&alice, &room, (TYPE, Some("2"), json!({}))).await.unwrap();
        assert_eq!(reads(), read, "that it is new is known without asking");
        assert!(has(&world, &room, "1").await);
        world.invite(&alice, &user("stranger"), &room).await.unwrap();
        let before = before + 1;
        assert_eq!(groups(&world).await, before + 2, "an unknown user who is invited");
        world.join(&user("newcomer"), &room).await.unwrap();
        assert_eq!(groups(&world).await, before + 3, "an unknown user who joins");
        let invite = vec![(user("guest"), crate::MemberProfile::default())];
        world.rooms.create(CreateRoom { invite, ..request }).await.unwrap();
        assert_eq!(groups(&world).await, before + 4, "a room");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_name_the_same_at_once_agree_on_its_number() {
    each_world(async |world| {
        let alice = user("alice");
        let mut rooms = Vec::new();
        for _ in 0..6 {
            rooms.push(world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap());
        }
        for round in 0..20 {
            let name = round.to_string();
            let (world, alice, name) = (&world, &alice, name.as_str());
            join_all(rooms.iter().flat_map(|room| {
                (0..2).map(move |turn| async move {
                    let content = json!({ "turn": turn });
                    world.submit(alice, room, (TYPE, Some(name), content)).await.unwrap();
                })
            }))
            .await;
            for room in &rooms {
                assert!(has(world, room, name).await, "round {round}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_registers_while_being_invited_has_one_number() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let store = &world.rooms.inner.setup.store;
        for round in 0..30 {
            let new = user(&format!("new{round}"));
            let (id, invited) = (new.clone(), new.clone());
            let (number, outcome) = tokio::join!(
                store.write(move |txn| txn.intern_user(&id)),
                world.invite(&alice, &invited, &room)
            );
            outcome.unwrap();
            let number = number.unwrap();
            assert_eq!(world.rooms.inner.find_user(&new).await.unwrap(), Some(number));
            assert_eq!(world.membership(&new, &room).await, Membership::Invite);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_loses_a_race_for_the_room_tries_again_with_its_new_key() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        // A second handle does not see the first one's commits, so that one of them loses.
        let store = world.rooms.inner.setup.store.clone();
        let other = World { rooms: testing::rooms(store) };
        for round in 0..20 {
            let names = [format!("a{round}"), format!("b{round}")];
            let [first, second] =
                [(&world, &names[0]), (&other, &names[1])].map(|(world, name)| {
                    world.submit(&alice, &room, (TYPE, Some(name.as_str()), json!({})))
                });
            let (first, second) = tokio::join!(first, second);
            first.unwrap();
            second.unwrap();
            let fresh = World { rooms: testing::rooms(world.rooms.inner.setup.store.clone()) };
            for name in &names {
                assert!(has(&fresh, &room, name).await, "{name}");
            }
        }
    })
    .await;
}

/// Whatever builds an event knows its auth events, so those have got their numbers before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_of_events_never_go_back() {
    let database = Database::sqlite();
    let store = database.open().await;
    let (numbering, newest) = (Numbering::new(store.clone()), AtomicI64::new(0));
    let (numbering, newest) = (Arc::new(numbering), Arc::new(newest));
    let takers = (0..64).map(|_| {
        let (numbering, newest) = (Arc::clone(&numbering), Arc::clone(&newest));
        tokio::spawn(async move {
            for _ in 0..3000 {
                let before = newest.load(Ordering::SeqCst);
                let number = numbering.next_event().await.unwrap().0;
                assert!(number > before, "{number} comes after {before}");
                newest.fetch_max(number, Ordering::SeqCst);
            }
        })
    });
    for taker in takers.collect::<Vec<_>>() {
        taker.await.unwrap();
    }
    store.close().await;
}
