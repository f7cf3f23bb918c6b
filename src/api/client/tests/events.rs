//! Sending and reading events, typing, receipts.

use serde_json::{Value, json};

use super::world::{World, each_world, escape, text};

#[tokio::test]
async fn a_transaction_id_works_once() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let first = alice.say(&room, "one").await;
        assert_eq!(alice.say(&room, "one").await, first);
        let second = alice.say(&room, "two").await;
        assert_ne!(second, first);
        // Of another endpoint it is another one.
        let path = format!("rooms/{room}/send/org.example.x/one");
        assert_ne!(text(&alice.put(&path, &json!({})).await.ok()["event_id"]), first);
        assert_eq!(alice.read(&room).await, ["two", "one"]);
        let redact = format!("rooms/{room}/redact/{}/r", escape(&first));
        let redaction = text(&alice.put(&redact, &json!({ "reason": "x" })).await.ok()["event_id"]);
        let again = alice.put(&redact, &json!({ "reason": "x" })).await.ok();
        assert_eq!(again["event_id"], redaction);
        let event = alice.get(&format!("rooms/{room}/event/{}", escape(&first))).await.ok();
        assert_eq!(event["content"], json!({}));
        assert_eq!(event["unsigned"]["redacted_because"]["event_id"], redaction);
    })
    .await;
}

#[tokio::test]
async fn a_redaction_may_be_sent_as_an_event() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        bob.join(&room).await;
        let event = alice.say(&room, "secret").await;
        let path = format!("rooms/{room}/send/m.room.redaction/r");
        let content = json!({ "redacts": event, "reason": "tea", "org.example.by": "a bot" });
        bob.put(&path, &content).await.is(403, "M_FORBIDDEN");
        alice.put(&path, &json!({})).await.is(400, "M_MISSING_PARAM");
        let wrong = json!({ "redacts": event, "reason": 5 });
        alice.put(&path, &wrong).await.is(400, "M_BAD_JSON");
        let redaction = text(&alice.put(&path, &content).await.ok()["event_id"]);
        let found = alice.get(&format!("rooms/{room}/event/{}", escape(&event))).await.ok();
        assert_eq!(found["content"], json!({}));
        let found = alice.get(&format!("rooms/{room}/event/{}", escape(&redaction))).await.ok();
        assert_eq!(found["content"], content);
    })
    .await;
}

#[tokio::test]
async fn a_type_stays_as_it_was_written() {
    // A library may take one of these names for the other.
    const TYPES: [&str; 6] = [
        "m.call.sdp_stream_metadata_changed",
        "org.matrix.call.sdp_stream_metadata_changed",
        "m.audio",
        "org.matrix.msc1767.audio",
        "m.call.member",
        "org.matrix.msc3401.call.member",
    ];
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let made = json!({ "initial_state": [{ "type": "m.beacon_info", "content": { "a": 1 } }] });
        let room = text(&alice.post("createRoom", &made).await.ok()["room_id"]);
        assert_eq!(alice.get(&format!("rooms/{room}/state/m.beacon_info")).await.ok()["a"], 1);
        for event_type in TYPES {
            let content = json!({ "as": event_type });
            let sent = format!("rooms/{room}/send/{event_type}/{event_type}");
            let sent = text(&alice.put(&sent, &content).await.ok()["event_id"]);
            let event = alice.get(&format!("rooms/{room}/event/{}", escape(&sent))).await.ok();
            assert_eq!(event["type"], event_type);
            alice.put(&format!("rooms/{room}/state/{event_type}"), &content).await.ok();
        }
        for event_type in TYPES {
            let state = alice.get(&format!("rooms/{room}/state/{event_type}")).await.ok();
            assert_eq!(state, json!({ "as": event_type }));
        }
    })
    .await;
}

#[tokio::test]
async fn state_with_and_without_a_key() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let at = |key: &str| format!("rooms/{room}/state/{key}");
        for (number, path) in ["m.room.topic", "m.room.topic/"].into_iter().enumerate() {
            let topic = json!({ "topic": format!("topic {number}") });
            alice.put(&at(path), &topic).await.ok();
            assert_eq!(alice.get(&at("m.room.topic")).await.ok()["topic"], topic["topic"]);
            assert_eq!(alice.get(&at("m.room.topic/")).await.ok()["topic"], topic["topic"]);
        }
        let slash = escape("a/b ü");
        alice.put(&at(&format!("org.example.x/{slash}")), &json!({ "a": 1 })).await.ok();
        let found = alice.get(&at(&format!("org.example.x/{slash}?format=event"))).await.ok();
        assert_eq!(found["state_key"], "a/b ü");
        assert_eq!(found["room_id"], room);
        assert_eq!(found["content"], json!({ "a": 1 }));
        alice.get(&at("org.example.x/none")).await.is(404, "M_NOT_FOUND");
        alice.get(&at("m.room.topic?format=x")).await.is(400, "M_INVALID_PARAM");
        let all = alice.get(&format!("rooms/{room}/state")).await.ok();
        let kinds: Vec<&Value> = all.as_array().unwrap().iter().map(|it| &it["type"]).collect();
        assert!(kinds.contains(&&json!("m.room.create")));
        let stranger = world.register("stranger").await;
        stranger.get(&at("m.room.topic")).await.is(403, "M_FORBIDDEN");
        stranger.get(&format!("rooms/{room}/state")).await.is(403, "M_FORBIDDEN");
        stranger.put(&at("m.room.topic"), &json!({})).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn the_timeline_is_paged() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        for number in 0..25 {
            alice.say(&room, &format!("m{number}")).await;
        }
        let mut bodies = Vec::new();
        let mut from = String::new();
        loop {
            let path = format!("rooms/{room}/messages?dir=b&limit=7{from}");
            let page = alice.get(&path).await.ok();
            let chunk = page["chunk"].as_array().unwrap();
            assert!(chunk.len() <= 7);
            bodies.extend(
                chunk
                    .iter()
                    .filter_map(|event| Some(event["content"]["body"].as_str()?.to_owned())),
            );
            let Some(end) = page["end"].as_str() else { break };
            from = format!("&from={end}");
        }
        let expected: Vec<String> = (0..25).rev().map(|number| format!("m{number}")).collect();
        assert_eq!(bodies, expected);
        let since = text(&alice.get("sync").await.ok()["next_batch"]);
        for from in [&since, "t1_1"] {
            let path = format!("rooms/{room}/messages?dir=b&limit=1&from={from}");
            assert_eq!(alice.get(&path).await.ok()["start"], *from);
        }
        let forward = alice.get(&format!("rooms/{room}/messages?dir=f&limit=1")).await.ok();
        assert_eq!(forward["chunk"][0]["type"], "m.room.create");
        let lazy = escape(r#"{"lazy_load_members":true,"types":["m.room.message"]}"#);
        let path = format!("rooms/{room}/messages?dir=b&limit=1&filter={lazy}");
        let page = alice.get(&path).await.ok();
        assert_eq!(page["state"][0]["state_key"], alice.user_id);
        // The smaller one of two limits is meant.
        for (limit, in_filter, expected) in [(5, 2, 2), (2, 5, 2)] {
            let filter = escape(&json!({ "limit": in_filter }).to_string());
            let path = format!("rooms/{room}/messages?dir=b&limit={limit}&filter={filter}");
            let page = alice.get(&path).await.ok();
            assert_eq!(page["chunk"].as_array().unwrap().len(), expected);
        }
        for query in ["dir=x", "dir=b&from=x", "dir=b&limit=x", "dir=b&filter=x", "dir=b&to=7"] {
            let reply = alice.get(&format!("rooms/{room}/messages?{query}")).await;
            assert_eq!(reply.status, 400, "{query}: {}", reply.body);
        }
        // The specification asks for a direction, but clients that give none mean forward.
        let forward = alice.get(&format!("rooms/{room}/messages?limit=1")).await.ok();
        assert_eq!(forward["chunk"][0]["type"], "m.room.create");
    })
    .await;
}

#[tokio::test]
async fn an_event_and_what_is_around_it() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        alice.say(&room, "before").await;
        let event = alice.say(&room, "event").await;
        alice.say(&room, "after").await;
        let path = format!("rooms/{room}/context/{}?limit=2", escape(&event));
        let context = alice.get(&path).await.ok();
        assert_eq!(context["event"]["event_id"], event);
        assert_eq!(context["event"]["unsigned"]["transaction_id"], "event");
        assert_eq!(context["events_before"][0]["content"]["body"], "before");
        assert_eq!(context["events_after"][0]["content"]["body"], "after");
        assert!(context["state"].as_array().unwrap().len() > 3);
        let filter = escape(&json!({ "types": ["m.room.create"] }).to_string());
        let context = alice.get(&format!("{path}&filter={filter}")).await.ok();
        assert_eq!(context["event"]["event_id"], event);
        assert_eq!(context["events_after"], json!([]));
        assert_eq!(context["state"][0]["type"], "m.room.create");
        assert_eq!(context["state"].as_array().unwrap().len(), 1);
        let from = format!("rooms/{room}/messages?dir=b&from={}", text(&context["start"]));
        alice.get(&from).await.ok();
        bob.get(&path).await.is(404, "M_NOT_FOUND");
        let single = format!("rooms/{room}/event/{}", escape(&event));
        assert_eq!(alice.get(&single).await.ok()["room_id"], room);
        bob.get(&single).await.is(404, "M_NOT_FOUND");
        alice.get(&format!("rooms/{room}/event/$none")).await.is(404, "M_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn typing_and_receipts() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        let event = alice.say(&room, "read-me").await;
        let typing = format!("rooms/{room}/typing/{}", alice.user_id);
        alice.put(&typing, &json!({ "typing": true, "timeout": 1000 })).await.ok();
        alice.put(&typing, &json!({ "typing": false })).await.ok();
        alice.put(&typing, &json!({})).await.is(400, "M_MISSING_PARAM");
        bob.put(&typing, &json!({ "typing": true })).await.is(403, "M_FORBIDDEN");
        let event = escape(&event);
        let receipt = |kind: &str| format!("rooms/{room}/receipt/{kind}/{event}");
        for kind in ["m.read", "m.read.private", "m.fully_read"] {
            alice.post(&receipt(kind), &json!({})).await.ok();
        }
        alice.post(&receipt("m.read"), &json!({ "thread_id": "main" })).await.ok();
        for wrong in [json!("x"), json!(""), json!(5), json!(null)] {
            let wrong = json!({ "thread_id": wrong });
            alice.post(&receipt("m.read"), &wrong).await.is(400, "M_INVALID_PARAM");
        }
        alice.post(&receipt("m.unread"), &json!({})).await.is(400, "M_INVALID_PARAM");
        let main = json!({ "thread_id": "main" });
        alice.post(&receipt("m.fully_read"), &main).await.is(400, "M_INVALID_PARAM");
        bob.post(&receipt("m.read"), &json!({})).await.is(403, "M_FORBIDDEN");
        let markers = json!({ "m.fully_read": "$none", "m.read": "$none" });
        alice.post(&format!("rooms/{room}/read_markers"), &markers).await.ok();
        let unknown = format!("rooms/{room}/receipt/m.read/%24none");
        alice.post(&unknown, &json!({})).await.ok();
        bob.post(&unknown, &json!({})).await.is(403, "M_FORBIDDEN");
        alice.post(&format!("rooms/{room}/read_markers"), &json!({})).await.ok();
    })
    .await;
}

#[tokio::test]
async fn whom_somebody_ignores_she_does_not_hear() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        bob.join(&room).await;
        alice.say(&room, "before").await;
        let unheard = bob.say(&room, "unheard").await;
        let heard = alice.say(&room, "after").await;
        let list = format!("user/{}/account_data/m.ignored_user_list", alice.user_id);
        let ignored = json!({ "ignored_users": { &bob.user_id: {} } });
        alice.put(&list, &ignored).await.ok();
        assert_eq!(alice.read(&room).await, ["after", "before"]);
        assert_eq!(bob.read(&room).await, ["after", "unheard", "before"]);
        let page = alice.get(&format!("rooms/{room}/messages?dir=b")).await.ok();
        let senders = page["chunk"].as_array().unwrap().iter();
        let of_bob: Vec<&Value> =
            senders.filter(|event| event["sender"] == bob.user_id.as_str()).collect();
        assert_eq!(of_bob.len(), 1, "his state is shown: {of_bob:?}");
        assert_eq!(of_bob[0]["type"], "m.room.member");
        let around = |event: &str| format!("rooms/{room}/context/{}", escape(event));
        let context = alice.get(&around(&heard)).await.ok();
        assert_eq!(context["events_before"][0]["content"]["body"], "before");
        alice.get(&around(&unheard)).await.is(404, "M_NOT_FOUND");
        let event = format!("rooms/{room}/event/{}", escape(&unheard));
        alice.get(&event).await.is(404, "M_NOT_FOUND");
        alice.put(&list, &json!({ "ignored_users": {} })).await.ok();
        alice.get(&event).await.ok();
        assert_eq!(alice.read(&room).await, ["after", "unheard", "before"]);
    })
    .await;
}
