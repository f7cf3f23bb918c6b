//! Filters over real rooms.

use ruma::events::receipt::{ReceiptThread, ReceiptType};
use serde_json::{Value, json, value::to_raw_value};
use user::receipt::NewReceipt;

use super::world::{each_world, joined, state, timeline};
use crate::{Error, FilterError};

#[tokio::test]
async fn types_senders_and_rooms() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let (room, other) = (alice.create().await, alice.create().await);
        bob.join(&room).await;
        alice.sync().await;
        alice.say(&room, "from alice").await;
        bob.say(&room, "from bob").await;
        alice.set_state(&room, "org.example", json!({"url": "mxc://a/b"})).await;
        alice.say(&other, "elsewhere").await;
        let told = async |timeline_filter: Value| {
            let client = alice.clone().with_filter(json!({"room": {"timeline": timeline_filter}}));
            let answer = client.peek().await;
            [timeline(joined(&answer, &room)), timeline(joined(&answer, &other))].concat()
        };
        assert_eq!(told(json!({})).await, ["from alice", "from bob", "org.example|", "elsewhere"]);
        assert_eq!(told(json!({"types": ["org.*"]})).await, ["org.example|"]);
        assert_eq!(told(json!({"not_types": ["m.room.message"]})).await, ["org.example|"]);
        assert_eq!(told(json!({"senders": [bob.id()]})).await, ["from bob"]);
        assert_eq!(told(json!({"rooms": [other]})).await, ["elsewhere"]);
        assert_eq!(told(json!({"contains_url": true})).await, ["org.example|"]);
        assert_eq!(told(json!({"types": []})).await, [] as [&str; 0]);

        let client = alice.clone().with_filter(json!({"room": {"not_rooms": [room]}}));
        let answer = client.peek().await;
        assert!(joined(&answer, &room).is_null());
        assert_eq!(timeline(joined(&answer, &other)), ["elsewhere"]);
    })
    .await;
}

#[tokio::test]
async fn a_rare_type_is_found_behind_many_others() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        alice.set_state(&room, "org.example.rare", json!({})).await;
        for number in 0..60 {
            alice.say(&room, &format!("{number}")).await;
        }
        alice.filter = json!({"room": {"timeline": {"types": ["org.example.rare"], "limit": 3}}});
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["org.example.rare|"]);
    })
    .await;
}

#[tokio::test]
async fn state_account_data_and_ephemeral_filters() {
    each_world(async |world| {
        let filter = json!({
            "account_data": {"types": []},
            "presence": {"types": []},
            "room": {
                "state": {"types": ["m.room.create"]},
                "timeline": {"types": []},
                "ephemeral": {"types": []},
            },
        });
        let mut alice = world.register("alice").await.with_filter(filter);
        let room = alice.create().await;
        world.parts.typing.set(&alice.requester, &room, Some(10_000)).await.unwrap();
        let answer = alice.sync().await;
        assert!(answer.get("account_data").is_none());
        assert!(answer.get("presence").is_none());
        assert_eq!(state(joined(&answer, &room)), ["create|"]);
        assert_eq!(timeline(joined(&answer, &room)), [] as [&str; 0]);
        assert_eq!(joined(&answer, &room)["timeline"]["limited"], false);
        assert_eq!(joined(&answer, &room)["ephemeral"]["events"], json!([]));
        alice.say(&room, "not told").await;
        assert_eq!(alice.sync().await.get("rooms"), None);
    })
    .await;
}

#[tokio::test]
async fn stored_filters_are_found_by_their_id() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        alice.sync().await;
        alice.say(&room, "one").await;
        let filter = to_raw_value(&json!({"room": {"timeline": {"types": ["org.*"]}}})).unwrap();
        let id = world.parts.filters.create(&alice.requester, filter).await.unwrap();
        let mut request = alice.request();
        request.filter = Some(id.clone());
        assert_eq!(alice.ask(request.clone()).await.unwrap().get("rooms"), None);

        for (client, filter) in [(&alice, "nonsense"), (&alice, "4711"), (&bob, id.as_str())] {
            let mut request = client.request();
            request.filter = Some(filter.to_owned());
            let error = client.ask(request).await.unwrap_err();
            assert!(matches!(error, Error::Filter(FilterError::Unknown)), "{filter} {error}");
        }
        request.filter = Some("{\"room\": 1}".to_owned());
        let error = alice.ask(request).await.unwrap_err();
        assert!(matches!(error, Error::Filter(FilterError::Invalid(_))), "{error}");
    })
    .await;
}

#[tokio::test]
async fn event_formats() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        alice.sync().await;
        alice.say(&room, "hello").await;
        let event = async |filter: Value| {
            let answer = alice.clone().with_filter(filter).peek().await;
            joined(&answer, &room)["timeline"]["events"][0].clone()
        };
        let federation = event(json!({"event_format": "federation"})).await;
        assert!(federation["auth_events"].is_array());
        assert_eq!(federation["room_id"], room.as_str());
        let fields = event(json!({"event_fields": ["type", "content.body"]})).await;
        assert_eq!(fields, json!({"type": "m.room.message", "content": {"body": "hello"}}));
    })
    .await;
}

#[tokio::test]
async fn senders_and_urls_beside_the_timeline() {
    each_world(async |world| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create().await;
        bob.join(&room).await;
        let event_id = alice.say(&room, "hello").await;
        let mut asking = alice.clone();
        asking.sync().await;
        let mut fresh = alice.clone();
        fresh.since = None;
        for client in [&alice, &bob] {
            world.parts.typing.set(&client.requester, &room, Some(10_000)).await.unwrap();
            let (kind, thread) = (ReceiptType::Read, ReceiptThread::Unthreaded);
            let receipt = NewReceipt { kind, thread, event_id: event_id.clone() };
            world.receipts.set(&client.requester, &room, receipt).await.unwrap();
        }
        for (kind, content) in [("with", json!({"url": "mxc://a/b"})), ("without", json!({}))] {
            let content = to_raw_value(&content).unwrap();
            let (me, data) = (&alice.requester, &world.account_data);
            data.set(me, Some(&room), kind, content).await.unwrap();
        }
        for client in [asking, fresh] {
            // Who is named in the ephemeral section, and the types of the account data.
            let told = async |filter: Value| {
                let answer = client.clone().with_filter(json!({"room": filter})).peek().await;
                let section = joined(&answer, &room);
                let ephemeral = section["ephemeral"].to_string();
                let counts = [&alice, &bob].map(|who| ephemeral.matches(who.id().as_str()).count());
                let data = section["account_data"]["events"].as_array().into_iter().flatten();
                (counts, data.map(|datum| datum["type"].clone()).collect::<Vec<_>>())
            };
            let ephemeral = async |filter: Value| told(json!({"ephemeral": filter})).await.0;
            assert_eq!(ephemeral(json!({})).await, [2, 2]);
            assert_eq!(ephemeral(json!({"senders": [bob.id()]})).await, [0, 2]);
            assert_eq!(ephemeral(json!({"not_senders": [bob.id()]})).await, [2, 0]);
            assert_eq!(ephemeral(json!({"contains_url": true})).await, [0, 0]);
            assert_eq!(ephemeral(json!({"contains_url": false})).await, [2, 2]);
            let data = async |filter: Value| told(json!({"account_data": filter})).await.1;
            assert_eq!(data(json!({})).await, ["with", "without"]);
            assert_eq!(data(json!({"contains_url": true})).await, ["with"]);
            assert_eq!(data(json!({"contains_url": false})).await, ["without"]);
        }
    })
    .await;
}
