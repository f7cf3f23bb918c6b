//! Redactions.

use proto::power::Level;
use ruma::api::client::room::create_room::v3::RoomPreset;
use serde_json::{Map, from_value, json, value::to_raw_value};
use store::numbers::{CREATE, NAME, POWER_LEVELS};

use super::world::{each_version, each_world, room_of, user};
use crate::{RoomError, create::CreateRoom, directory::DirectoryQuery, redact::RedactRequest};

#[tokio::test]
async fn a_redacted_event_is_served_redacted_at_once_and_after_a_restart() {
    each_version(async |world, rules| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.public_room(&alice, rules).await;
        world.join(&bob, &room).await.unwrap();
        let said = world.say(&bob, &room, "a secret").await;
        let held = world.rooms.inner.find_event(&said).await.unwrap().unwrap();
        let request = RedactRequest {
            sender: alice.clone(),
            is_admin: false,
            room_id: room.clone(),
            event_id: said.clone(),
            content: from_value(json!({ "reason": "no secrets", "org.example.by": "a bot" }))
                .unwrap(),
            txn: None,
        };
        let redaction = world.rooms.redact(request).await.unwrap().event_id;
        assert!(held.body.is_redacted(), "whoever holds it knows");
        let restarted = crate::testing::rooms(world.rooms.inner.setup.store.clone());
        let again = super::world::World { rooms: restarted };
        for world in [&world, &again] {
            let seen = world.read(&bob, &room, &said).await.unwrap();
            assert_eq!(seen["content"], serde_json::json!({}));
            let because = &seen["unsigned"]["redacted_because"];
            assert_eq!(because["event_id"], redaction.as_str());
            assert_eq!(because["content"]["reason"], "no secrets");
            assert_eq!(because["content"]["org.example.by"], "a bot");
        }
    })
    .await;
}

#[tokio::test]
async fn others_events_can_be_redacted_only_with_power() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let levels = json!({ "events": { "m.room.redaction": 0 } });
        let request = CreateRoom {
            power_level_content_override: Some(to_raw_value(&levels).unwrap()),
            ..room_of(&alice, RoomPreset::PublicChat)
        };
        let room = world.rooms.create(request).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        let by_alice = world.say(&alice, &room, "hers").await;
        let by_bob = world.say(&bob, &room, "his").await;
        let request = |event: &ruma::EventId| RedactRequest {
            sender: bob.clone(),
            is_admin: false,
            room_id: room.clone(),
            event_id: event.to_owned(),
            content: Map::new(),
            txn: None,
        };
        let refused = world.rooms.redact(request(&by_alice)).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        let as_state = json!({ "redacts": by_alice });
        let refused = world.submit(&bob, &room, ("m.room.redaction", Some(""), as_state)).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        world.rooms.redact(request(&by_bob)).await.unwrap();
        assert!(
            !world.rooms.inner.find_event(&by_alice).await.unwrap().unwrap().body.is_redacted()
        );
        assert!(world.rooms.inner.find_event(&by_bob).await.unwrap().unwrap().body.is_redacted());
    })
    .await;
}

#[tokio::test]
async fn an_administrator_redacts_what_users_of_the_server_sent() {
    each_version(async |world, rules| {
        let (alice, bob, root) = (user("alice"), user("bob"), user("root"));
        let room = world.public_room(&alice, rules).await;
        world.join(&bob, &room).await.unwrap();
        let said = world.say(&bob, &room, "rude").await;
        let redact = async |is_admin| {
            let request = RedactRequest {
                sender: root.clone(),
                is_admin,
                room_id: room.clone(),
                event_id: said.clone(),
                content: Map::new(),
                txn: None,
            };
            world.rooms.redact(request).await
        };
        assert!(matches!(redact(true).await, Err(RoomError::Denied(_))), "she is not in the room");
        world.join(&root, &room).await.unwrap();
        assert!(matches!(redact(false).await, Err(RoomError::Forbidden(_))));
        redact(true).await.unwrap();
        assert!(world.rooms.inner.find_event(&said).await.unwrap().unwrap().body.is_redacted());
    })
    .await;
}

#[tokio::test]
async fn what_makes_the_room_is_not_redacted() {
    each_version(async |world, rules| {
        let alice = user("alice");
        let room = world.public_room(&alice, rules).await;
        let acl = json!({ "allow": ["*"], "deny": ["evil.example"] });
        let acl = world.set_state(&alice, &room, "m.room.server_acl", acl).await.unwrap();
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        let create = view.state_pdu(CREATE).unwrap().event_id().to_owned();
        for event_id in [create, acl] {
            let request = RedactRequest {
                sender: alice.clone(),
                is_admin: false,
                room_id: room.clone(),
                event_id: event_id.clone(),
                content: Map::new(),
                txn: None,
            };
            let refused = world.rooms.redact(request).await;
            assert!(matches!(refused, Err(RoomError::Forbidden(_))));
            let event = world.rooms.inner.find_event(&event_id).await.unwrap().unwrap();
            assert!(!event.body.is_redacted());
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_redacted_is_gone_from_the_directory_and_the_powers() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let request = CreateRoom {
            public: true,
            version: Some(ruma::RoomVersionId::V10),
            name: Some("Rude".to_owned()),
            topic: Some("Fine".to_owned()),
            power_level_content_override: Some(to_raw_value(&json!({ "invite": 50 })).unwrap()),
            ..room_of(&alice, RoomPreset::PublicChat)
        };
        let room = world.rooms.create(request).await.unwrap();
        let view = || async { world.rooms.find(&room).await.unwrap().unwrap().view() };
        let redact = async |key| {
            let event_id = view().await.state_pdu(key).unwrap().event_id().to_owned();
            let request = RedactRequest {
                sender: alice.clone(),
                is_admin: false,
                room_id: room.clone(),
                event_id,
                content: Map::new(),
                txn: None,
            };
            world.rooms.redact(request).await.unwrap();
        };
        redact(NAME).await;
        let listed = world.rooms.public_rooms(DirectoryQuery::default()).await.unwrap();
        assert_eq!(listed.rooms[0].name, None);
        assert_eq!(listed.rooms[0].topic.as_deref(), Some("Fine"));
        // Before room version 11 the level of invitations does not outlive a redaction.
        assert!(!view().await.powers().reaches(&bob, Level::Invite));
        redact(POWER_LEVELS).await;
        assert!(view().await.powers().reaches(&bob, Level::Invite));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_and_what_contradicts_itself() {
    each_version(async |world, rules| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let room = world.public_room(&alice, rules).await;
        world.join(&bob, &room).await.unwrap();
        let ask = async |sender: &ruma::UserId, event: &ruma::EventId, redacts: Option<&str>| {
            let content = redacts.map(|redacts| json!({ "redacts": redacts }));
            let request = RedactRequest {
                sender: sender.to_owned(),
                is_admin: false,
                room_id: room.clone(),
                event_id: event.to_owned(),
                content: from_value(content.unwrap_or(json!({}))).unwrap(),
                txn: None,
            };
            world.rooms.redact(request).await
        };
        // Another room of the same version gives an id of the right form.
        let elsewhere = world.public_room(&alice, rules).await;
        let foreign = world.say(&alice, &elsewhere, "not here").await;
        assert!(matches!(ask(&bob, &foreign, None).await, Err(RoomError::EventNotFound)));
        assert!(matches!(ask(&carol, &foreign, None).await, Err(RoomError::NotInRoom)));
        ask(&alice, &foreign, None).await.unwrap();
        let said = world.say(&bob, &room, "here").await;
        let other = ask(&bob, &said, Some(foreign.as_str())).await;
        assert!(matches!(other, Err(RoomError::InvalidParam(_))));
        assert!(!world.rooms.inner.find_event(&said).await.unwrap().unwrap().body.is_redacted());
        ask(&bob, &said, Some(said.as_str())).await.unwrap();
        assert!(world.rooms.inner.find_event(&said).await.unwrap().unwrap().body.is_redacted());
    })
    .await;
}
