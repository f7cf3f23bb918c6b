//! Members that come as they are needed.

use std::collections::BTreeSet;

use ruma::RoomId;
use serde_json::{Value, json};

use super::world::{Client, World, each_world, joined, shorts};
use crate::StateSection;

fn lazy(limit: u32) -> Value {
    json!({"room": {"state": {"lazy_load_members": true}, "timeline": {"limit": limit}}})
}

/// Whose member events a room's state has.
fn members(answer: &Value, room: &RoomId, section: &str) -> BTreeSet<String> {
    let shorts = shorts(&joined(answer, room)[section]);
    let members = shorts.iter().filter_map(|short| short.split_once(' '));
    members.map(|(_, member)| member.to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A room with many members, and its first one.
async fn crowd(world: &World) -> (Vec<Client>, ruma::OwnedRoomId) {
    let alice = world.register("alice").await;
    let room = alice
        .create_with(ruma::api::client::room::create_room::v3::RoomPreset::PublicChat, |request| {
            request.name = Some("With a name, so without heroes".to_owned());
        })
        .await;
    let mut clients = vec![alice];
    for name in ["bob", "carol", "dave", "erin"] {
        let client = world.register(name).await;
        client.join(&room).await;
        clients.push(client);
    }
    (clients, room)
}

#[tokio::test]
async fn only_those_who_are_seen_come_and_each_once() {
    each_world(async |world| {
        let (clients, room) = crowd(&world).await;
        let [alice, bob, carol, ..] = &clients[..] else { unreachable!() };
        bob.say(&room, "one").await;
        let mut reader = alice.clone().with_filter(lazy(1));
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&["alice", "bob"]));
        bob.say(&room, "two").await;
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&[]));
        carol.say(&room, "three").await;
        let before = reader.clone();
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&["carol"]));

        // The answer got lost: it comes again as it was.
        reader = before;
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&["carol"]));
        carol.say(&room, "four").await;
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&[]));

        // Another device knows nobody.
        let mut other = carol.clone().with_filter(lazy(1));
        other.since.clone_from(&reader.since);
        bob.say(&room, "five").await;
        let answer = other.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&["bob"]));
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_makes_nobody_known() {
    each_world(async |world| {
        let (clients, room) = crowd(&world).await;
        let [alice, bob, carol, dave, ..] = &clients[..] else { unreachable!() };
        let mut reader = alice.clone().with_filter(lazy(1));
        reader.sync_once().await;
        let held = reader.since.clone();
        bob.say(&room, "in the lost answer").await;
        let lost = reader.sync_once().await;
        assert!(members(&lost, &room, "state").contains("bob"));
        reader.since = held;
        // Now the timeline is somebody else's.
        carol.say(&room, "one").await;
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&["carol"]));
        dave.say(&room, "two").await;
        bob.say(&room, "three").await;
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&["bob"]));
    })
    .await;
}

#[tokio::test]
async fn what_is_known_survives_answers_without_content() {
    each_world(async |world| {
        let (clients, room) = crowd(&world).await;
        let [alice, bob, ..] = &clients[..] else { unreachable!() };
        let mut reader = alice.clone().with_filter(lazy(1));
        bob.say(&room, "one").await;
        reader.sync_once().await;
        let held = reader.since.clone();
        bob.create().await;
        reader.sync_once().await;
        assert_ne!(reader.since, held);
        bob.say(&room, "two").await;
        let answer = reader.sync_once().await;
        assert_eq!(members(&answer, &room, "state"), names(&[]));
    })
    .await;
}

#[tokio::test]
async fn who_changes_in_a_gap_is_told() {
    each_world(async |world| {
        let (clients, room) = crowd(&world).await;
        let [alice, bob, carol, dave, _] = &clients[..] else { unreachable!() };
        let mut reader = alice.clone().with_filter(lazy(1));
        reader.sync_once().await;
        dave.leave(&room).await;
        let renamed = json!({"membership": "join", "displayname": "Bobby"});
        bob.send(&room, ("m.room.member", Some(bob.id().as_str()), renamed), None).await;
        carol.say(&room, "the only one in the timeline").await;
        let answer = reader.sync_once().await;
        assert_eq!(joined(&answer, &room)["timeline"]["limited"], true);
        assert_eq!(members(&answer, &room, "state"), names(&["bob", "carol", "dave"]));
    })
    .await;
}

#[tokio::test]
async fn redundant_members_come_again() {
    each_world(async |world| {
        let (clients, room) = crowd(&world).await;
        let [alice, bob, ..] = &clients[..] else { unreachable!() };
        let mut filter = lazy(1);
        filter["room"]["state"]["include_redundant_members"] = json!(true);
        let mut reader = alice.clone().with_filter(filter);
        for _ in 0..3 {
            bob.say(&room, "hello").await;
            let answer = reader.sync_once().await;
            assert!(members(&answer, &room, "state").contains("bob"));
        }
    })
    .await;
}

#[tokio::test]
async fn state_after_has_everybody_in_the_timeline() {
    each_world(async |world| {
        let (clients, room) = crowd(&world).await;
        let [alice, .., erin] = &clients[..] else { unreachable!() };
        let mut reader = alice.clone().with_filter(lazy(2));
        reader.state = StateSection::After;
        erin.say(&room, "one").await;
        let answer = reader.sync_once().await;
        // Her join and her message.
        assert_eq!(members(&answer, &room, "state_after"), names(&["alice", "erin"]));
    })
    .await;
}

#[tokio::test]
async fn a_member_in_the_timeline_is_not_yet_known_by_state_after() {
    each_world(async |world| {
        let mut alice = world.register("alice").await.with_filter(lazy(50));
        let bob = world.register("bob").await;
        let room = alice.create().await;
        alice.set_state(&room, "m.room.name", json!({"name": "So without heroes"})).await;
        alice.invite(&bob, &room).await;
        for (state, section, expected) in [
            (StateSection::After, "state_after", names(&["bob"])),
            (StateSection::Before, "state", names(&[])),
        ] {
            alice.state = state;
            alice.since = None;
            let answer = alice.sync_once().await;
            assert!(!members(&answer, &room, section).contains("bob"), "{answer}");
            alice.set_state(&room, "m.room.name", json!({})).await;
            let answer = alice.sync_once().await;
            assert_eq!(joined(&answer, &room)["summary"]["m.heroes"], json!(["@bob:example.org"]));
            assert_eq!(members(&answer, &room, section), expected, "{answer}");
            alice.set_state(&room, "m.room.name", json!({"name": "Again"})).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_gone_stands_for_a_room_where_nobody_else_is() {
    each_world(async |world| {
        let mut alice = world.register("alice").await.with_filter(lazy(1));
        let (bob, carol) = (world.register("bob").await, world.register("carol").await);
        let room = alice.create().await;
        bob.join(&room).await;
        carol.join(&room).await;
        let heroes = async |alice: &mut Client| {
            let answer = alice.sync_once().await;
            joined(&answer, &room)["summary"]["m.heroes"].clone()
        };
        let both = json!(["@bob:example.org", "@carol:example.org"]);
        assert_eq!(heroes(&mut alice).await, both);
        bob.leave(&room).await;
        assert_eq!(heroes(&mut alice).await, json!(["@carol:example.org"]));
        alice.ban(&carol, &room).await;
        assert_eq!(heroes(&mut alice).await, both);
        alice.since = None;
        let answer = alice.sync_once().await;
        assert_eq!(joined(&answer, &room)["summary"]["m.heroes"], both);
        let told = members(&answer, &room, "state");
        assert!(told.is_superset(&names(&["alice", "bob"])), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn a_room_whose_name_is_redacted_is_told_by_its_members() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        let name = alice.send(&room, ("m.room.name", Some(""), json!({"name": "A"})), None).await;
        let answer = alice.sync_once().await;
        assert!(joined(&answer, &room)["summary"].get("m.heroes").is_none());
        let request = room::redact::RedactRequest {
            sender: alice.id().to_owned(),
            is_admin: false,
            room_id: room.clone(),
            event_id: name.event_id,
            content: serde_json::Map::new(),
            txn: None,
        };
        world.rooms.redact(request).await.unwrap();
        let answer = alice.sync_once().await;
        assert_eq!(joined(&answer, &room)["summary"]["m.heroes"], json!(["@bob:example.org"]));
        // Only once, and from the database the same.
        bob.say(&room, "hello").await;
        assert_eq!(joined(&alice.sync_once().await, &room)["summary"], json!({}));
    })
    .await;
}

#[tokio::test]
async fn heroes_are_among_the_members() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        alice.say(&room, "hello").await;
        let mut reader = alice.clone().with_filter(lazy(1));
        let answer = reader.sync_once().await;
        assert_eq!(joined(&answer, &room)["summary"]["m.heroes"], json!(["@bob:example.org"]));
        assert_eq!(members(&answer, &room, "state"), names(&["alice", "bob"]));
    })
    .await;
}
