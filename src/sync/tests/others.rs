//! What is beside the timelines: account data, receipts, typing, presence, ignored users.

use std::collections::BTreeSet;

use ruma::{
    events::receipt::{ReceiptThread, ReceiptType},
    presence::PresenceState,
};
use serde_json::{Value, json, value::to_raw_value};
use user::receipt::NewReceipt;

use super::world::{Client, each_world, joined, timeline};

/// The entries of account data in a section, with their types.
fn data(section: &Value) -> Vec<(&str, &Value)> {
    let events = section["account_data"]["events"].as_array().into_iter().flatten();
    events.map(|event| (event["type"].as_str().unwrap(), &event["content"])).collect()
}

async fn set(client: &Client, room: Option<&ruma::RoomId>, kind: &str, content: Value) {
    let content = to_raw_value(&content).unwrap();
    client.world.account_data.set(&client.requester, room, kind, content).await.unwrap();
}

#[tokio::test]
async fn account_data_comes_when_it_changes() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        alice.sync().await;
        set(&alice, None, "org.example.one", json!({"a": 1})).await;
        set(&alice, None, "org.example.one", json!({"a": 2})).await;
        set(&alice, Some(&room), "org.example.two", json!({"b": 1})).await;
        let answer = alice.sync().await;
        assert_eq!(data(&answer), [("org.example.one", &json!({"a": 2}))]);
        assert_eq!(data(joined(&answer, &room)), [("org.example.two", &json!({"b": 1}))]);
        assert_eq!(timeline(joined(&answer, &room)), [] as [&str; 0]);
        alice.world.account_data.remove(&alice.requester, None, "org.example.one").await.unwrap();
        assert_eq!(data(&alice.sync().await), [("org.example.one", &json!({}))]);

        alice.since = None;
        let answer = alice.sync().await;
        assert!(data(&answer).iter().all(|(kind, _)| *kind != "org.example.one"));
        assert_eq!(data(joined(&answer, &room)), [("org.example.two", &json!({"b": 1}))]);
    })
    .await;
}

/// The ephemeral event of a type in a room.
fn ephemeral<'a>(answer: &'a Value, room: &ruma::RoomId, kind: &str) -> Option<&'a Value> {
    let events = joined(answer, room)["ephemeral"]["events"].as_array()?;
    events.iter().find(|event| event["type"] == kind).map(|event| &event["content"])
}

async fn read(client: &Client, room: &ruma::RoomId, event: &ruma::EventId, thread: &str) {
    let thread = match thread {
        "" => ReceiptThread::Unthreaded,
        _ => ReceiptThread::Main,
    };
    let receipt = NewReceipt { kind: ReceiptType::Read, thread, event_id: event.to_owned() };
    client.world.receipts.set(&client.requester, room, receipt).await.unwrap();
}

#[tokio::test]
async fn receipts_are_told_to_the_room_and_private_ones_to_their_owner() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        let event = alice.say(&room, "hello").await;
        alice.sync().await;
        bob.sync().await;
        read(&bob, &room, &event, "").await;
        let answer = alice.sync().await;
        let receipt = ephemeral(&answer, &room, "m.receipt").unwrap();
        assert!(receipt[event.as_str()]["m.read"]["@bob:example.org"]["ts"].is_u64());
        assert_eq!(bob.sync().await["rooms"]["join"].as_object().unwrap().len(), 1);

        let receipt = NewReceipt {
            kind: ReceiptType::ReadPrivate,
            thread: ReceiptThread::Unthreaded,
            event_id: event.clone(),
        };
        world.receipts.set(&bob.requester, &room, receipt).await.unwrap();
        assert_eq!(alice.sync().await.get("rooms"), None);
        let answer = bob.sync().await;
        let receipt = ephemeral(&answer, &room, "m.receipt").unwrap();
        let private = &receipt[event.as_str()]["m.read.private"];
        assert!(private["@bob:example.org"]["ts"].is_u64());

        // The same event in two threads needs two events.
        read(&bob, &room, &event, "main").await;
        alice.since = None;
        let answer = alice.sync().await;
        let events = joined(&answer, &room)["ephemeral"]["events"].as_array().unwrap();
        let threads = events.iter().map(|receipt| {
            let content = &receipt["content"][event.as_str()]["m.read"]["@bob:example.org"];
            content["thread_id"].as_str().unwrap_or_default().to_owned()
        });
        let expected = ["", "main"].map(str::to_owned);
        assert_eq!(threads.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    })
    .await;
}

#[tokio::test]
async fn typing_is_told_while_it_goes_on() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        alice.sync().await;
        let typing = world.parts.typing.clone();
        let users = |users: &[&str]| json!({"user_ids": users});
        typing.set(&bob.requester, &room, Some(30_000)).await.unwrap();
        let answer = alice.sync().await;
        let told = ephemeral(&answer, &room, "m.typing");
        assert_eq!(told, Some(&users(&["@bob:example.org"])));
        assert_eq!(alice.sync().await.get("rooms"), None);
        // Somebody who comes now sees it, too.
        let mut carol = world.register("carol").await;
        carol.sync().await;
        carol.join(&room).await;
        let answer = carol.sync().await;
        let told = ephemeral(&answer, &room, "m.typing");
        assert_eq!(told, Some(&users(&["@bob:example.org"])));

        typing.set(&bob.requester, &room, None).await.unwrap();
        let answer = alice.sync().await;
        assert_eq!(ephemeral(&answer, &room, "m.typing"), Some(&users(&[])));
    })
    .await;
}

#[tokio::test]
async fn whoever_leaves_stops_typing() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let (bob, carol) = (world.register("bob").await, world.register("carol").await);
        let room = alice.create().await;
        for client in [&bob, &carol] {
            client.join(&room).await;
            let typing = world.parts.typing.clone();
            typing.set(&client.requester, &room, Some(30_000)).await.unwrap();
        }
        alice.sync().await;
        bob.leave(&room).await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["leave bob"]);
        let told = ephemeral(&answer, &room, "m.typing");
        assert_eq!(told, Some(&json!({"user_ids": ["@carol:example.org"]})));
        alice.ban(&carol, &room).await;
        let answer = alice.sync().await;
        assert_eq!(ephemeral(&answer, &room, "m.typing"), Some(&json!({"user_ids": []})));
        alice.since = None;
        assert_eq!(ephemeral(&alice.sync().await, &room, "m.typing"), None);
    })
    .await;
}

/// Who is how, in an answer.
fn presence(answer: &Value) -> Vec<(String, String)> {
    let events = answer["presence"]["events"].as_array();
    let state = |event: &Value| {
        assert_eq!(event["type"], "m.presence");
        let sender = event["sender"].as_str().unwrap().to_owned();
        (sender, event["content"]["presence"].as_str().unwrap().to_owned())
    };
    events.into_iter().flatten().map(state).collect()
}

#[tokio::test]
async fn presence_is_told_to_those_who_share_a_room() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let mut carol = world.register("carol").await;
        let room = alice.create().await;
        bob.join(&room).await;
        for client in [&mut alice, &mut bob, &mut carol] {
            client.sync().await;
        }
        let online = |client: &Client| {
            let (presence, requester) = (world.parts.presence.clone(), client.requester.clone());
            async move { presence.set(&requester, PresenceState::Online, None).await.unwrap() }
        };
        let is = |name: &str| (format!("@{name}:example.org"), "online".to_owned());
        online(&bob).await;
        assert_eq!(presence(&alice.sync().await), [is("bob")]);
        assert_eq!(presence(&bob.sync().await), [is("bob")]);
        assert_eq!(presence(&carol.sync().await), []);
        assert_eq!(presence(&alice.sync().await), []);

        // Who comes into sight is told without a change.
        carol.join(&room).await;
        assert_eq!(presence(&carol.sync().await), [is("bob")]);
        let dave = world.register("dave").await;
        online(&dave).await;
        dave.join(&room).await;
        assert_eq!(presence(&alice.sync().await), [is("dave")]);
        assert_eq!(presence(&alice.sync().await), []);
        // Who came and went is none of hers; with the full state everybody is told.
        let erin = world.register("erin").await;
        online(&erin).await;
        erin.join(&room).await;
        erin.leave(&room).await;
        assert_eq!(presence(&alice.sync().await), []);
        let mut whole = alice.request();
        whole.full_state = true;
        let mut told = presence(&alice.ask(whole).await.unwrap());
        told.sort();
        assert_eq!(told, [is("bob"), is("dave")]);
    })
    .await;
}

#[tokio::test]
async fn presence_is_not_told_to_those_who_share_no_room_any_more() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let (room, other) = (alice.create().await, alice.create().await);
        for room in [&room, &other] {
            bob.join(room).await;
        }
        let set = world.parts.presence.set(&bob.requester, PresenceState::Online, None);
        set.await.unwrap();
        let mut told = async || {
            alice.since = None;
            let answer = alice.sync().await;
            presence(&answer).iter().any(|(user, _)| user == "@bob:example.org")
        };
        bob.leave(&room).await;
        assert!(told().await, "they share another room");
        bob.leave(&other).await;
        assert!(!told().await);
    })
    .await;
}

#[tokio::test]
async fn a_sync_makes_its_user_online() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        alice.sync().await;
        let mut request = bob.request();
        request.set_presence = PresenceState::Unavailable;
        bob.ask(request).await.unwrap();
        let told = presence(&alice.sync().await);
        assert_eq!(told, [("@bob:example.org".to_owned(), "unavailable".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn invitations_that_are_not_wanted_are_left_out() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = bob.create().await;
        bob.invite(&alice, &room).await;
        let invited = |answer: &Value| answer["rooms"]["invite"].get(room.as_str()).is_some();
        assert!(invited(&alice.sync().await));
        set(&alice, None, "m.invite_permission_config", json!({"default_action": "block"})).await;
        alice.since = None;
        assert!(!invited(&alice.sync().await));
        set(&alice, None, "m.invite_permission_config", json!({})).await;
        alice.since = None;
        assert!(invited(&alice.sync().await));
    })
    .await;
}

#[tokio::test]
async fn ignored_users_are_left_out() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        alice.sync().await;
        let ignored = json!({"ignored_users": {"@bob:example.org": {}}});
        set(&alice, None, "m.ignored_user_list", ignored).await;
        bob.say(&room, "unheard").await;
        alice.say(&room, "heard").await;
        // What they change in the room counts for everybody.
        bob.leave(&room).await;
        let other = bob.create().await;
        bob.invite(&alice, &other).await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["heard", "leave bob"]);
        assert_eq!(answer["rooms"].get("invite"), None);
    })
    .await;
}
