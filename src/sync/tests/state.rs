//! The two state deltas, and what a client makes of them.

use std::collections::BTreeMap;

use ruma::RoomId;
use serde_json::{Value, json};

use super::world::{Client, each_world, joined, shorts, state, timeline};
use crate::StateSection;

/// A client's idea of a room's state: by type and state key, the event's id.
type Idea = BTreeMap<(String, String), String>;

fn learn(idea: &mut Idea, section: &Value) {
    for event in section["events"].as_array().into_iter().flatten() {
        let text = |field: &str| event[field].as_str().map(str::to_owned);
        if let (Some(kind), Some(key), Some(id)) =
            (text("type"), text("state_key"), text("event_id"))
        {
            idea.insert((kind, key), id);
        }
    }
}

/// The room's state as a new client with everything in `state_after` learns it.
async fn truth(client: &Client, room: &RoomId) -> Idea {
    let mut fresh = client.clone();
    (fresh.since, fresh.filter, fresh.state) = (None, Value::Null, StateSection::After);
    let mut idea = Idea::new();
    let answer = fresh.sync().await;
    assert!(joined(&answer, room).get("state").is_none());
    learn(&mut idea, &joined(&answer, room)["state_after"]);
    idea
}

#[tokio::test]
async fn state_after_reaches_to_the_timelines_end() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        alice.state = StateSection::After;
        let room = alice.create().await;
        let answer = alice.sync().await;
        assert_eq!(shorts(&joined(&answer, &room)["state_after"]).len(), 6);
        alice.set_state(&room, "m.room.topic", json!({"topic": "one"})).await;
        alice.say(&room, "hello").await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["topic|", "hello"]);
        assert_eq!(shorts(&joined(&answer, &room)["state_after"]), ["topic|"]);
        assert!(joined(&answer, &room).get("state").is_none());
        alice.state = StateSection::AfterUnstable;
        alice.say(&room, "again").await;
        let answer = alice.sync().await;
        let unstable = &joined(&answer, &room)["org.matrix.msc4222.state_after"];
        assert_eq!(unstable, &json!({"events": []}));
    })
    .await;
}

#[tokio::test]
async fn state_that_a_filter_keeps_out_of_the_timeline_is_told() {
    each_world(async |world| {
        let filter = json!({"room": {"timeline": {"types": ["m.room.message"]}}});
        let mut alice = world.register("alice").await.with_filter(filter);
        let room = alice.create().await;
        alice.sync().await;
        alice.say(&room, "one").await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "hidden"})).await;
        alice.say(&room, "two").await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["one", "two"]);
        assert_eq!(joined(&answer, &room)["timeline"]["limited"], false);
        assert_eq!(state(joined(&answer, &room)), ["topic|"]);
        assert!(joined(&alice.sync().await, &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn clients_end_with_the_rooms_state_whatever_their_limits() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        let clients = [0, 1, 2, 5, 100].map(|limit| {
            let mut client = alice.clone();
            client.filter = json!({"room": {"timeline": {"limit": limit}}});
            if limit == 2 {
                client.filter["room"]["timeline"]["not_types"] = json!(["m.room.topic"]);
            }
            (client, Idea::new())
        });
        let mut clients = Vec::from(clients);
        for round in 0..6 {
            for step in 0..=round {
                alice.set_state(&room, "m.room.topic", json!({"topic": step})).await;
                alice.set_state(&room, &format!("org.example.{step}"), json!({"a": round})).await;
                alice.say(&room, "and so on").await;
            }
            if round % 2 == 0 {
                bob.join(&room).await;
            } else {
                bob.leave(&room).await;
            }
            let truth = truth(&alice, &room).await;
            for (client, idea) in &mut clients {
                let answer = client.sync().await;
                learn(idea, &joined(&answer, &room)["state"]);
                learn(idea, &joined(&answer, &room)["timeline"]);
                assert_eq!(*idea, truth, "{}", client.filter);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_was_away_ends_with_the_rooms_state_whatever_she_may_see() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        let hidden = json!({"history_visibility": "joined"});
        alice.set_state(&room, "m.room.history_visibility", hidden).await;
        bob.join(&room).await;
        let clients = [0, 1, 2, 4, 50].map(|limit| {
            let mut client = bob.clone();
            client.filter = json!({"room": {"timeline": {"limit": limit}}});
            (client, Idea::new())
        });
        let mut clients = Vec::from(clients);
        for round in 0..4 {
            alice.set_state(&room, "m.room.topic", json!({"topic": round})).await;
            alice.say(&room, "in sight").await;
            if round > 0 {
                bob.leave(&room).await;
                alice.set_state(&room, "m.room.topic", json!({"topic": "unseen"})).await;
                bob.join(&room).await;
            }
            if round > 1 {
                alice.set_state(&room, "m.room.name", json!({"name": round})).await;
            }
            let truth = truth(&bob, &room).await;
            for (client, idea) in &mut clients {
                let answer = client.sync().await;
                let told = joined(&answer, &room);
                learn(idea, &told["state"]);
                learn(idea, &told["timeline"]);
                assert_eq!(*idea, truth, "{} {told}", client.filter);
                // What she has already may come again, and what is shown begins anew.
                assert!(round == 0 || told["timeline"]["limited"] == true, "{told}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_is_told_that_what_is_shown_begins_anew() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let filter = json!({"room": {"timeline": {"limit": 50}}});
        let mut bob = world.register("bob").await.with_filter(filter);
        let room = alice.create().await;
        bob.sync().await;
        bob.join(&room).await;
        let answer = bob.sync().await;
        let all = timeline(joined(&answer, &room));
        assert_eq!(joined(&answer, &room)["timeline"]["limited"], false, "{all:?}");
        bob.leave(&room).await;
        bob.join(&room).await;
        let answer = bob.sync().await;
        assert_eq!(timeline(joined(&answer, &room))[..all.len()], all);
        assert_eq!(joined(&answer, &room)["timeline"]["limited"], true);
    })
    .await;
}
