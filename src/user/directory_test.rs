//! Who finds whom by what.

use ruma::room_id;
use serde_json::json;
use store::{Store, testing::for_each_engine};

use super::MAX_CHECKED;
use crate::{
    account::Registration,
    testing::{Someone, World},
};

async fn found(world: &World, by: &Someone, term: &str) -> Vec<String> {
    let result = world.directory.search(&by.requester, term, 10).await.unwrap();
    result.users.iter().map(|user| user.user_id.localpart().to_owned()).collect()
}

async fn name(world: &World, user: &Someone, name: &str) {
    let (profiles, value) = (&world.profiles, json!(name));
    profiles.set_field(&user.requester, &user.user_id, "displayname", value).await.unwrap();
}

async fn world(store: Store) -> (World, Someone, Someone, Someone) {
    let world = World::new(store).await;
    let alice = world.someone("user-1-alice").await;
    let bob = world.someone("user-2-bob").await;
    let eve = world.someone("user-3-eve").await;
    name(&world, &alice, "Alice Cooper").await;
    (world, alice, bob, eve)
}

#[tokio::test]
async fn public_rooms_show_their_members() {
    for_each_engine(|store| async move {
        let (world, alice, bob, eve) = world(store).await;
        let (private, public) = (
            world.room(room_id!("!private:example.org")).await,
            world.room(room_id!("!public:example.org")).await,
        );
        world.rooms.join(&alice.requester, private);
        assert!(found(&world, &eve, "Alice").await.is_empty());
        world.rooms.join(&bob.requester, private);
        assert_eq!(found(&world, &bob, "Alice").await, ["user-1-alice"]);
        assert!(found(&world, &eve, "Alice").await.is_empty());
        world.rooms.join(&alice.requester, public);
        world.rooms.0.lock().public.insert(public);
        let by_name = ["Alice Cooper", "cooper ALI", "Alice:Cooper"];
        let by_id = ["@user", "@user-1-alice:example.org", "user-1", "User-1-alice:exam"];
        for term in by_name.into_iter().chain(by_id) {
            assert_eq!(found(&world, &eve, term).await, ["user-1-alice"], "{term}");
        }
        for term in ["", " ", "lice", "Alice Freddy", "@alice", "%"] {
            assert!(found(&world, &eve, term).await.is_empty(), "{term}");
        }
        let result = world.directory.search(&eve.requester, "alice", 10).await.unwrap();
        assert_eq!(result.users[0].display_name.as_deref(), Some("Alice Cooper"));
        assert!(!result.limited);
        // Nobody finds herself.
        assert!(found(&world, &alice, "alice").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_open_directory_shows_everybody() {
    for_each_engine(|store| async move {
        let (world, alice, bob, eve) = world(store).await;
        world.set(|settings| settings.directory.search_all_users = true);
        assert_eq!(found(&world, &eve, "user").await.len(), 2);
        // Whole words first.
        name(&world, &bob, "Al").await;
        assert_eq!(found(&world, &eve, "al").await, ["user-2-bob", "user-1-alice"]);
        let one = world.directory.search(&eve.requester, "user", 1).await.unwrap();
        assert!(one.users.len() == 1 && one.limited);
        // Old names are forgotten, and so are those who left for good.
        name(&world, &alice, "Ännchen Müller").await;
        assert!(found(&world, &eve, "cooper").await.is_empty());
        assert_eq!(found(&world, &eve, "ÄNN").await, ["user-1-alice"]);
        world.accounts.deactivate(&alice.user_id, false).await.unwrap();
        assert!(found(&world, &eve, "ÄNN").await.is_empty());
        world.set(|settings| settings.directory.enabled = false);
        assert!(found(&world, &eve, "user").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn whoever_shares_a_room_is_found_behind_a_crowd_of_strangers() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let eve = world.someone("eve").await;
        let friend = world.someone("someone-with-a-long-name").await;
        for number in 0..=MAX_CHECKED {
            let username = Some(format!("someone-{number}"));
            let registration = Registration { username, ..Registration::default() };
            world.accounts.register(registration).await.unwrap();
        }
        let room = world.room(room_id!("!private:example.org")).await;
        for user in [&eve, &friend] {
            world.rooms.join(&user.requester, room);
        }
        let result = world.directory.search(&eve.requester, "someone", 10).await.unwrap();
        let found: Vec<_> = result.users.iter().map(|user| user.user_id.as_str()).collect();
        assert_eq!(found, [friend.user_id.as_str()]);
        assert!(result.limited, "not everybody was looked at");
    })
    .await;
}
