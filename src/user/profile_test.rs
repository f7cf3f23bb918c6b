//! Fields, their limits and rights, and what reaches the rooms.

use ruma::{room_id, user_id};
use serde_json::json;
use store::testing::for_each_engine;

use super::*;
use crate::testing::{Someone, World};

async fn set(world: &World, user: &Someone, field: &str, value: Value) -> Result<(), Error> {
    world.profiles.set_field(&user.requester, &user.user_id, field, value).await
}

#[tokio::test]
async fn fields_are_set_read_and_removed() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let avatar = json!("mxc://example.org/abc");
        set(&world, &alice, "displayname", json!(" \tÄlice ")).await.unwrap();
        set(&world, &alice, "avatar_url", avatar.clone()).await.unwrap();
        set(&world, &alice, "m.tz", json!("Europe/London")).await.unwrap();
        set(&world, &alice, "org.example.pets", json!([{"cat": 2}, null])).await.unwrap();
        set(&world, &alice, "org.example.none", Value::Null).await.unwrap();
        let all = json!({
            "displayname": "Älice",
            "avatar_url": avatar,
            "m.tz": "Europe/London",
            "org.example.pets": [{"cat": 2}, null],
            "org.example.none": null,
        });
        for world in [&world, &world.restarted().await] {
            let profile = world.profiles.find(&alice.user_id).await.unwrap().unwrap();
            assert_eq!(Value::Object(profile), all);
        }
        for field in ["displayname", "m.tz", "never.set"] {
            let removed = world.profiles.remove_field(&alice.requester, &alice.user_id, field);
            removed.await.unwrap();
            let found = world.profiles.find_field(&alice.user_id, field).await.unwrap();
            assert_eq!(found, None);
        }
        set(&world, &alice, "avatar_url", json!("")).await.unwrap();
        let member = world.profiles.member_profile(&alice.user_id).await.unwrap();
        assert_eq!(member, MemberProfile::default());
        for stranger in [user_id!("@nobody:example.org"), user_id!("@alice:elsewhere.org")] {
            assert_eq!(world.profiles.find(stranger).await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn bad_fields_are_refused() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let long = format!("a.{}", "x".repeat(254));
        assert!(matches!(set(&world, &alice, &long, json!(1)).await, Err(Error::KeyTooLarge)));
        for field in ["", "name", "Org.example", "org.exämple", "1.a", ".a"] {
            let answer = set(&world, &alice, field, json!(1)).await;
            assert!(matches!(answer, Err(Error::InvalidParam(_))), "{field}");
        }
        for (field, value) in [
            ("displayname", json!("x".repeat(257))),
            ("avatar_url", json!(format!("mxc://example.org/{}", "a".repeat(1000)))),
            ("m.tz", json!(1)),
        ] {
            let answer = set(&world, &alice, field, value).await;
            assert!(matches!(answer, Err(Error::InvalidParam(_))), "{field}");
        }
        let answer = set(&world, &alice, "displayname", json!(7)).await;
        assert!(matches!(answer, Err(Error::BadJson(_))));
        set(&world, &alice, "org.example.a", json!("x".repeat(40_000))).await.unwrap();
        let answer = set(&world, &alice, "org.example.b", json!("x".repeat(30_000))).await;
        assert!(matches!(answer, Err(Error::ProfileTooLarge)));
        assert_eq!(world.profiles.find_field(&alice.user_id, "org.example.b").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_and_administrators_change_a_profile() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
        let rename = |by: Requester| {
            let (profiles, user_id) = (world.profiles.clone(), alice.user_id.clone());
            async move { profiles.set_field(&by, &user_id, "displayname", json!("X")).await }
        };
        assert!(matches!(rename(bob.requester).await, Err(Error::Forbidden(_))));
        world.accounts.set_admin(&bob.user_id, true).await.unwrap();
        let bob = world.authenticate(&bob.session.tokens.access_token).await.unwrap();
        rename(bob.clone()).await.unwrap();
        world.set(|settings| settings.profiles.set_displayname = false);
        let refused = set(&world, &alice, "displayname", json!("Y")).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))));
        world.profiles.set_field(&bob, &alice.user_id, "displayname", json!("Y")).await.unwrap();
        let unknown = user_id!("@nobody:example.org");
        let refused = world.profiles.set_field(&bob, unknown, "displayname", json!("X")).await;
        assert!(matches!(refused, Err(Error::UnknownUser(_))));
    })
    .await;
}

#[tokio::test]
async fn names_and_avatars_reach_the_rooms() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let ids = [room_id!("!a:example.org"), room_id!("!b:example.org")];
        for id in ids {
            let room = world.room(id).await;
            world.rooms.join(&alice.requester, room);
        }
        set(&world, &alice, "displayname", json!("Alice")).await.unwrap();
        // What changes nothing, or nothing that stands in member events, reaches no room.
        set(&world, &alice, "displayname", json!("Alice")).await.unwrap();
        set(&world, &alice, "m.tz", json!("UTC")).await.unwrap();
        let told = world.rooms.0.lock().profiles.clone();
        let profile = MemberProfile { displayname: Some("Alice".to_owned()), avatar_url: None };
        let expected =
            ids.map(|id| (alice.user_id.clone(), id.to_owned(), profile.clone())).to_vec();
        assert_eq!(told, expected);
    })
    .await;
}

#[tokio::test]
async fn a_room_that_is_slow_ends_with_the_whole_profile() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let room = world.room(room_id!("!a:example.org")).await;
        world.rooms.join(&alice.requester, room);
        let bell = Arc::new(tokio::sync::Notify::new());
        world.rooms.0.lock().slow_member = Some(Arc::clone(&bell));
        let name = set(&world, &alice, "displayname", json!("Alice"));
        let avatar = async {
            while world.rooms.0.lock().slow_member.is_some() {
                tokio::task::yield_now().await;
            }
            // The name is on its way, and the avatar overtakes it.
            set(&world, &alice, "avatar_url", json!("mxc://example.org/abc")).await.unwrap();
            bell.notify_one();
        };
        let (named, ()) = tokio::join!(name, avatar);
        named.unwrap();
        let (.., last) = world.rooms.0.lock().profiles.last().unwrap().clone();
        assert_eq!(last, world.profiles.member_profile(&alice.user_id).await.unwrap());
        assert_eq!(last.avatar_url.as_deref(), Some("mxc://example.org/abc"));
    })
    .await;
}
