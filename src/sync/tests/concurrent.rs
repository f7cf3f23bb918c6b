//! Waiting, waking, and many at once.

use std::{collections::HashSet, time::Duration};

use ruma::{
    OwnedRoomId, RoomId,
    events::receipt::{ReceiptThread, ReceiptType},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use user::receipt::NewReceipt;

use super::world::{Client, each_world, joined, left, timeline};
use crate::Error;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_mins(1);

/// Has a client wait in the background.
fn waiting(client: &Client) -> tokio::task::JoinHandle<Value> {
    let mut client = client.clone();
    tokio::spawn(async move { client.wait(LONG).await })
}

async fn woken(waiting: tokio::task::JoinHandle<Value>) -> Value {
    timeout(Duration::from_secs(20), waiting).await.expect("somebody is woken").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_concerns_a_user_wakes_her() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        alice.sync().await;

        let wait = waiting(&alice);
        tokio::time::sleep(Duration::from_millis(50)).await;
        bob.say(&room, "wake up").await;
        assert_eq!(timeline(joined(&woken(wait).await, &room)), ["wake up"]);
        alice.sync().await;

        let wait = waiting(&alice);
        let content = serde_json::value::to_raw_value(&json!({"a": 1})).unwrap();
        let requester = &alice.requester;
        world.account_data.set(requester, None, "org.example", content).await.unwrap();
        assert_eq!(woken(wait).await["account_data"]["events"].as_array().unwrap().len(), 1);
        alice.sync().await;

        let wait = waiting(&alice);
        world.parts.typing.set(&bob.requester, &room, Some(10_000)).await.unwrap();
        let answer = woken(wait).await;
        assert_eq!(joined(&answer, &room)["ephemeral"]["events"][0]["type"], "m.typing");
        alice.sync().await;

        let wait = waiting(&alice);
        let other = bob.create().await;
        bob.invite(&alice, &other).await;
        assert!(woken(wait).await["rooms"]["invite"].get(other.as_str()).is_some());
        alice.sync().await;

        let wait = waiting(&alice);
        alice.leave(&room).await;
        assert_eq!(timeline(left(&woken(wait).await, &room)), ["leave alice"]);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_concern_her_does_not_end_the_wait() {
    each_world(async |world| {
        let filter = json!({"room": {"timeline": {"not_types": ["m.room.message"]}}});
        let mut alice = world.register("alice").await.with_filter(filter);
        let bob = world.register("bob").await;
        let room = alice.create().await;
        alice.sync().await;
        let held = alice.since.clone().unwrap();
        let wait = {
            let mut alice = alice.clone();
            tokio::spawn(async move { alice.wait(Duration::from_millis(300)).await })
        };
        bob.create().await;
        alice.say(&room, "filtered out").await;
        let answer = woken(wait).await;
        assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
        // The token moves all the same, so that it does not grow old.
        assert_ne!(answer["next_batch"], held);
        alice.since = Some(answer["next_batch"].as_str().unwrap().to_owned());
        alice.set_state(&room, "m.room.topic", json!({"topic": "told"})).await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["topic|"]);
    })
    .await;
}

#[tokio::test]
async fn an_up_to_date_client_touches_no_database() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        alice.sync().await;
        let event = bob.say(&room, "hello").await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "news"})).await;
        let receipt = NewReceipt {
            kind: ReceiptType::Read,
            thread: ReceiptThread::Unthreaded,
            event_id: event,
        };
        world.receipts.set(&bob.requester, &room, receipt).await.unwrap();
        world.parts.typing.set(&bob.requester, &room, Some(10_000)).await.unwrap();
        let content = serde_json::value::to_raw_value(&json!({"a": 1})).unwrap();
        world.account_data.set(&alice.requester, None, "org.example", content).await.unwrap();
        world.store.close().await;

        let answer = alice.sync_once().await;
        assert_eq!(timeline(joined(&answer, &room)), ["hello", "topic|"]);
        assert_eq!(joined(&answer, &room)["ephemeral"]["events"].as_array().unwrap().len(), 2);
        assert_eq!(answer["account_data"]["events"].as_array().unwrap().len(), 1);
        assert_eq!(alice.sync_once().await.as_object().unwrap().len(), 2);
        // Whoever comes for the first time needs it.
        alice.since = None;
        let error = alice.ask(alice.request()).await.unwrap_err();
        assert!(matches!(error, Error::Store(store::Error::Closed)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_waiting_request_is_small() {
    /// A thousand of them take a few megabytes with their connections.
    const BYTES_MAX: usize = 4096;
    each_world(async |world| {
        let alice = world.register("alice").await;
        let waiting = world.sync.run(&alice.requester, alice.request());
        assert!(size_of_val(&waiting) <= BYTES_MAX, "{}", size_of_val(&waiting));
    })
    .await;
}

/// Reads until an event with this body, filling gaps by paging, and gives back the ids of all
/// messages in order.
async fn read_all(mut client: Client, room: OwnedRoomId, last: usize) -> Vec<String> {
    let (mut seen, mut ended) = (Vec::new(), 0);
    while ended < last {
        let since = client.since.clone();
        let answer = client.wait(LONG).await;
        let room_answer = joined(&answer, &room);
        if room_answer["timeline"]["limited"] == true
            && let Some(since) = since
        {
            let prev_batch = room_answer["timeline"]["prev_batch"].as_str().unwrap();
            seen.extend(gap(&client, &room, (prev_batch, &since), &mut ended).await);
        }
        for event in room_answer["timeline"]["events"].as_array().into_iter().flatten() {
            seen.extend(message(event, &mut ended));
        }
    }
    seen
}

/// The id of a message; counts those that are a writer's last.
fn message(event: &Value, ended: &mut usize) -> Option<String> {
    let body = event["content"]["body"].as_str()?;
    *ended += usize::from(body == "end");
    event["event_id"].as_str().map(str::to_owned)
}

/// The messages between two tokens, oldest first.
async fn gap(
    client: &Client,
    room: &RoomId,
    (from, to): (&str, &str),
    ended: &mut usize,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = Some(from.to_owned());
    while let Some(from) = next {
        let (events, end) = super::world::page(client, room, (&from, Some(to))).await;
        found.extend(events.iter().filter_map(|event| message(event, ended)));
        next = end;
    }
    found.reverse();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_with_different_limits_end_with_the_same_order() {
    const EACH: usize = 25;
    each_world(async |world| {
        let alice = world.register("alice").await;
        let room = alice.create().await;
        let mut readers = Vec::new();
        for (number, limit) in [0, 1, 2, 5, 10, 100].into_iter().enumerate() {
            let client = world.register(&format!("reader{number}")).await;
            client.join(&room).await;
            let filter = json!({"room": {"timeline": {"limit": limit}}});
            let mut client = client.with_filter(filter);
            client.sync_once().await;
            readers.push(tokio::spawn(read_all(client, room.clone(), 6)));
        }
        let mut writers = Vec::new();
        for number in 0..6 {
            let client = world.register(&format!("writer{number}")).await;
            client.join(&room).await;
            let room = room.clone();
            writers.push(tokio::spawn(async move {
                for message in 1..EACH {
                    client.say(&room, &format!("{number} {message}")).await;
                }
                client.say(&room, "end").await;
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let mut orders = Vec::new();
        for reader in readers {
            orders.push(timeout(LONG, reader).await.expect("a reader ends").unwrap());
        }
        let first = &orders[0];
        assert_eq!(first.len(), 6 * EACH);
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 6 * EACH);
        for order in &orders {
            assert_eq!(order, first);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_come_and_go_under_writers_lose_nothing() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        bob.sync_once().await;
        let writer = {
            let (alice, room) = (alice.clone(), room.clone());
            tokio::spawn(async move {
                for number in 0..60 {
                    alice.say(&room, &format!("{number}")).await;
                }
            })
        };
        let mover = {
            let (bob, room) = (bob.clone(), room.clone());
            tokio::spawn(async move {
                for _ in 0..6 {
                    bob.join(&room).await;
                    bob.leave(&room).await;
                }
                bob.join(&room).await;
                bob.say(&room, "settled").await;
            })
        };
        // Whatever she is told, the last thing told of the room is that she is in it.
        let mut is_in = false;
        let mut settled = false;
        while !settled {
            let answer = bob.wait(LONG).await;
            assert!(joined(&answer, &room).is_null() || left(&answer, &room).is_null());
            is_in = !joined(&answer, &room).is_null() || is_in && left(&answer, &room).is_null();
            settled = timeline(joined(&answer, &room)).contains(&"settled".to_owned());
        }
        assert!(is_in);
        mover.await.unwrap();
        writer.await.unwrap();
    })
    .await;
}
