//! Initial and incremental answers, limits and gaps.

use room::TxnKey;
use ruma::RoomId;
use serde_json::{Value, json};

use super::world::{self, Client, each_world, joined, state, timeline};

#[tokio::test]
async fn an_initial_answer_has_everything() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        for number in 0..12 {
            alice.say(&room, &format!("message {number}")).await;
        }
        let answer = alice.sync().await;
        let room = joined(&answer, &room);
        let expected = (2..12).map(|number| format!("message {number}")).collect::<Vec<_>>();
        assert_eq!(timeline(room), expected);
        assert_eq!(room["timeline"]["limited"], true);
        assert_eq!(
            state(room),
            [
                "create|",
                "guest_access|",
                "history_visibility|",
                "join alice",
                "join_rules|",
                "power_levels|",
            ]
        );
        let counts = json!({"highlight_count": 0, "notification_count": 0});
        assert_eq!(room["unread_notifications"], counts);
        assert_eq!(room["summary"]["m.joined_member_count"], 1);
        assert_eq!(room["summary"]["m.invited_member_count"], 0);
        assert_eq!(room["summary"]["m.heroes"], json!([]));
        assert_eq!(answer["device_one_time_keys_count"], json!({}));
        let kinds = answer["account_data"]["events"].as_array().unwrap();
        assert!(kinds.iter().any(|event| event["type"] == "m.push_rules"));
    })
    .await;
}

#[tokio::test]
async fn a_new_room_fits_into_its_timeline() {
    each_world(async |world| {
        let filter = json!({"room": {"timeline": {"limit": 50}}});
        let mut alice = world.register("alice").await.with_filter(filter);
        let room = alice.create().await;
        let answer = alice.sync().await;
        let room = joined(&answer, &room);
        assert_eq!(timeline(room)[..2], ["create|", "join alice"]);
        assert_eq!(room["timeline"]["limited"], false);
        assert_eq!(state(room), [] as [&str; 0]);
    })
    .await;
}

#[tokio::test]
async fn increments_continue_where_the_last_answer_ended() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let (room, quiet) = (alice.create().await, alice.create().await);
        alice.sync().await;
        let nothing = alice.sync().await;
        assert_eq!(nothing.as_object().unwrap().len(), 2, "{nothing}");

        alice.say(&room, "one").await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "two"})).await;
        let answer = alice.sync().await;
        let changed = joined(&answer, &room);
        assert_eq!(timeline(changed), ["one", "topic|"]);
        assert_eq!(changed["timeline"]["limited"], false);
        assert_eq!(state(changed), [] as [&str; 0]);
        assert!(joined(&answer, &quiet).is_null());
        assert_eq!(changed["summary"], json!({}));
        assert!(joined(&alice.sync().await, &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn a_gap_is_told_with_its_state_and_can_be_paged() {
    each_world(async |world| {
        let filter = json!({"room": {"timeline": {"limit": 3}}});
        let mut alice = world.register("alice").await.with_filter(filter);
        let room = alice.create().await;
        alice.sync().await;
        let since = alice.since.clone().unwrap();
        alice.set_state(&room, "m.room.topic", json!({"topic": "in the gap"})).await;
        alice.set_state(&room, "m.room.name", json!({"name": "in the gap"})).await;
        for number in 0..4 {
            alice.say(&room, &format!("message {number}")).await;
        }
        alice.set_state(&room, "m.room.name", json!({"name": "in the timeline"})).await;
        let answer = alice.sync().await;
        let changed = joined(&answer, &room);
        assert_eq!(timeline(changed), ["message 2", "message 3", "name|"]);
        assert_eq!(changed["timeline"]["limited"], true);
        assert_eq!(state(changed), ["name|", "topic|"]);
        let states = changed["state"]["events"].as_array().unwrap();
        let name = states.iter().find(|event| event["type"] == "m.room.name").unwrap();
        assert_eq!(name["content"]["name"], "in the gap");

        let prev_batch = changed["timeline"]["prev_batch"].as_str().unwrap();
        let gap = page(&alice, &room, (prev_batch, Some(&since))).await;
        assert_eq!(gap, ["message 1", "message 0", "m.room.name", "m.room.topic"]);
    })
    .await;
}

#[tokio::test]
async fn every_prev_batch_can_be_paged() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        alice.sync().await;
        alice.say(&room, "one").await;
        alice.say(&room, "two").await;
        let answer = alice.sync().await;
        let prev_batch = joined(&answer, &room)["timeline"]["prev_batch"].as_str().unwrap();
        let page = page(&alice, &room, (prev_batch, None)).await;
        assert!(!page.contains(&"one".to_owned()));
        assert_eq!(page.last().unwrap(), "m.room.create");

        let filter = json!({"room": {"timeline": {"limit": 0}}});
        alice = alice.with_filter(filter);
        alice.say(&room, "three").await;
        let answer = alice.sync().await;
        let room_answer = joined(&answer, &room);
        assert_eq!(timeline(room_answer), [] as [&str; 0]);
        assert_eq!(room_answer["timeline"]["limited"], true);
        let prev_batch = room_answer["timeline"]["prev_batch"].as_str().unwrap();
        let everything = self::page(&alice, &room, (prev_batch, None)).await;
        assert_eq!(everything[..2], ["three", "two"]);
    })
    .await;
}

/// Pages back as a client would: bodies of messages, types of the others.
async fn page(client: &Client, room: &RoomId, between: (&str, Option<&str>)) -> Vec<String> {
    let short = |event: &Value| {
        let body = event["content"]["body"].as_str().or(event["type"].as_str());
        body.unwrap().to_owned()
    };
    let (events, _) = world::page(client, room, between).await;
    events.iter().map(short).collect()
}

#[tokio::test]
async fn events_carry_what_is_for_their_reader() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        alice.say(&room, "before bob").await;
        bob.join(&room).await;
        alice.sync().await;
        bob.sync().await;
        let txn = TxnKey {
            user: alice.id().to_owned(),
            device: alice.requester.device_id().to_owned(),
            endpoint: "send/m.room.message".to_owned(),
            txn_id: "txn 1".into(),
        };
        let content = json!({"body": "hello"});
        alice.send(&room, ("m.room.message", None, content), Some(txn)).await;
        world.clock.advance(1234);
        let to_alice = alice.peek().await;
        let event = &joined(&to_alice, &room)["timeline"]["events"][0];
        let unsigned = json!({"age": 1234, "membership": "join", "transaction_id": "txn 1"});
        assert_eq!(event["unsigned"], unsigned);
        assert!(event.get("room_id").is_none());
        let to_bob = bob.sync().await;
        let event = &joined(&to_bob, &room)["timeline"]["events"][0];
        assert_eq!(event["unsigned"], json!({"age": 1234, "membership": "join"}));

        bob.since = None;
        let initial = bob.sync().await;
        let events = joined(&initial, &room)["timeline"]["events"].as_array().unwrap();
        let membership = |body: &str| {
            let event = events.iter().find(|event| event["content"]["body"] == body).unwrap();
            event["unsigned"]["membership"].as_str().unwrap()
        };
        assert_eq!(membership("before bob"), "leave");
        assert_eq!(membership("hello"), "join");
    })
    .await;
}

#[tokio::test]
async fn full_state_comes_with_the_timeline_since_the_token() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let (room, quiet) = (alice.create().await, alice.create().await);
        alice.sync().await;
        alice.say(&room, "one").await;
        let mut request = alice.request();
        request.full_state = true;
        request.timeout = std::time::Duration::from_mins(10);
        let answer = alice.ask(request).await.unwrap();
        assert_eq!(timeline(joined(&answer, &room)), ["one"]);
        assert_eq!(state(joined(&answer, &room)).len(), 6);
        assert_eq!(timeline(joined(&answer, &quiet)), [] as [&str; 0]);
        assert_eq!(state(joined(&answer, &quiet)).len(), 6);
        assert_eq!(joined(&answer, &quiet)["summary"]["m.joined_member_count"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_redacted_event_is_told_redacted() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        alice.sync().await;
        let secret = alice.say(&room, "secret").await;
        let request = room::redact::RedactRequest {
            sender: alice.id().to_owned(),
            is_admin: false,
            room_id: room.clone(),
            event_id: secret.clone(),
            content: serde_json::Map::new(),
            txn: None,
        };
        world.rooms.redact(request).await.unwrap();
        let answer = alice.sync().await;
        let events = joined(&answer, &room)["timeline"]["events"].as_array().unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0]["event_id"], secret.as_str());
        assert_eq!(events[0]["content"], json!({}));
        assert_eq!(events[0]["unsigned"]["redacted_because"]["type"], "m.room.redaction");
    })
    .await;
}
