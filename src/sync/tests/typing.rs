//! Typing over a restart: whoever shows nobody hears only of those who type, everybody else of all
//! rooms.

use std::time::Duration;

use ruma::{OwnedRoomId, RoomId};
use serde_json::{Value, json, value::to_raw_value};

use super::world::{Client, World, each_world, joined};
use crate::token::SyncToken;

/// Two users who are both in two rooms; the first has just asked for the first time.
struct Scene {
    world: World,
    alice: Client,
    bob: Client,
    room: OwnedRoomId,
    other: OwnedRoomId,
}

impl Scene {
    async fn new(world: World) -> Self {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let (room, other) = (alice.create().await, alice.create().await);
        for room in [&room, &other] {
            bob.join(room).await;
        }
        alice.sync().await;
        Self { world, alice, bob, room, other }
    }

    async fn bob_types(&self) {
        self.set(&self.room, Some(30_000)).await;
    }

    async fn bob_stops(&self) {
        self.set(&self.room, None).await;
    }

    async fn set(&self, room: &RoomId, timeout_ms: Option<u64>) {
        self.world.parts.typing.set(&self.bob.requester, room, timeout_ms).await.unwrap();
    }

    /// Who types in the two rooms by an answer, null for a room without typing.
    fn told(&self, answer: &Value) -> [Value; 2] {
        [&self.room, &self.other].map(|room| {
            let events = joined(answer, room)["ephemeral"]["events"].as_array();
            let mut events = events.into_iter().flatten();
            let typing = events.find(|event| event["type"] == "m.typing");
            typing.map_or(Value::Null, |typing| typing["content"]["user_ids"].clone())
        })
    }

    /// What the first user's client is told next.
    async fn alice_hears(&mut self) -> [Value; 2] {
        let answer = self.alice.sync().await;
        self.told(&answer)
    }

    /// What this client would be told if the process had begun anew since it got its token.
    async fn after_restart(&self, client: &Client) -> [Value; 2] {
        let mut client = in_another_run(client);
        self.told(&client.sync().await)
    }
}

/// The client with its token from another run.
fn in_another_run(client: &Client) -> Client {
    let token = client.since.as_ref().unwrap().parse::<SyncToken>().unwrap();
    let token = SyncToken { epoch: token.epoch ^ 1, ephemeral: token.ephemeral + 100, ..token };
    Client { since: Some(token.to_string()), ..client.clone() }
}

fn bob() -> Value {
    json!(["@bob:example.org"])
}

fn nobody() -> Value {
    json!([])
}

const NOTHING: [Value; 2] = [Value::Null, Value::Null];

fn everything() -> [Value; 2] {
    [nobody(), nobody()]
}

#[tokio::test]
async fn whoever_shows_nobody_hears_only_of_typists() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        assert_eq!(scene.after_restart(&scene.alice).await, NOTHING);
        scene.bob_types().await;
        assert_eq!(scene.after_restart(&scene.alice).await, [bob(), Value::Null]);
        let mut alice = in_another_run(&scene.alice);
        alice.sync().await;
        scene.bob_stops().await;
        assert_eq!(scene.after_restart(&alice).await, everything());
        // Told of both the beginning and the end, in this run.
        assert_eq!(scene.told(&alice.sync().await), [nobody(), Value::Null]);
        assert_eq!(scene.after_restart(&alice).await, NOTHING);
        // Or of neither: typing came and went between two answers.
        let answer = scene.alice.sync().await;
        assert_eq!(scene.told(&answer), [nobody(), Value::Null]);
        assert_eq!(scene.after_restart(&scene.alice).await, NOTHING);
    })
    .await;
}

#[tokio::test]
async fn whoever_was_told_of_no_end_hears_of_all_rooms() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        scene.bob_types().await;
        scene.alice.sync().await;
        // Answers without typing leave her where she is, whether there is something else or not.
        scene.alice.sync().await;
        scene.alice.say(&scene.other, "hello").await;
        assert_eq!(scene.alice_hears().await, NOTHING);
        scene.bob_stops().await;
        assert_eq!(scene.after_restart(&scene.alice).await, everything());
        // So does whoever came first when somebody was typing.
        scene.bob_types().await;
        let mut first = Client { since: None, ..scene.alice.clone() };
        assert_eq!(scene.told(&first.sync().await), [bob(), Value::Null]);
        scene.bob_stops().await;
        assert_eq!(scene.after_restart(&first).await, everything());
        // A token without a mark says nothing, and does not learn it without hearing of all rooms.
        scene.alice.sync().await;
        let token = scene.alice.since.as_ref().unwrap();
        let unmarked = token.trim_end_matches("_n").to_owned();
        assert_ne!(*token, unmarked);
        let mut old = Client { since: Some(unmarked), ..scene.alice.clone() };
        assert_eq!(scene.after_restart(&old).await, everything());
        old.say(&scene.room, "hello").await;
        assert_eq!(scene.told(&old.sync().await), NOTHING);
        assert_eq!(scene.after_restart(&old).await, everything());
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_told_nothing() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        let nobody_shown = scene.alice.clone();
        scene.bob_types().await;
        scene.alice.sync().await;
        let shows_bob = scene.alice.clone();
        scene.bob_stops().await;
        scene.alice.sync().await;
        assert_eq!(scene.after_restart(&scene.alice).await, NOTHING);
        assert_eq!(scene.after_restart(&shows_bob).await, everything());
        assert_eq!(scene.after_restart(&nobody_shown).await, NOTHING);
    })
    .await;
}

#[tokio::test]
async fn devices_are_told_apart() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        let mut second = scene.alice.clone();
        scene.bob_types().await;
        scene.alice.sync().await;
        scene.bob_stops().await;
        second.sync().await;
        assert_eq!(scene.after_restart(&scene.alice).await, everything());
        assert_eq!(scene.after_restart(&second).await, NOTHING);
    })
    .await;
}

#[tokio::test]
async fn a_filter_that_hides_typing_leaves_what_was_shown() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        let room = scene.room.clone();
        for filter in [
            json!({"room": {"ephemeral": {"not_types": ["m.typing"]}}}),
            json!({"room": {"ephemeral": {"not_rooms": [&room]}}}),
            json!({"room": {"not_rooms": [&room]}}),
        ] {
            scene.alice.sync().await;
            let mut hidden = scene.alice.clone().with_filter(filter.clone());
            scene.bob_types().await;
            scene.alice.sync().await;
            let mut changing = scene.alice.clone().with_filter(filter);
            // Nobody was shown, and nobody is.
            assert_eq!(scene.told(&hidden.sync().await), NOTHING);
            hidden.filter = Value::Null;
            assert_eq!(scene.after_restart(&hidden).await[0], bob());
            // Somebody was, and what became of it was hidden.
            scene.bob_stops().await;
            changing.sync().await;
            changing.filter = Value::Null;
            assert_eq!(scene.after_restart(&changing).await, everything());
            changing.say(&scene.other, "hello").await;
            assert_eq!(scene.told(&changing.sync().await), NOTHING);
            assert_eq!(scene.after_restart(&changing).await, everything());
        }
        // Whoever never hears of typing costs nothing once somebody typed.
        let filter = json!({"room": {"ephemeral": {"types": ["m.receipt"]}}});
        let mut hidden = scene.alice.clone().with_filter(filter);
        hidden.since = None;
        for _ in 0..2 {
            scene.bob_types().await;
            hidden.sync().await;
            scene.bob_stops().await;
            hidden.sync().await;
        }
        hidden.filter = Value::Null;
        assert_eq!(scene.after_restart(&hidden).await, NOTHING);
    })
    .await;
}

#[tokio::test]
async fn a_room_that_was_left_while_somebody_typed_comes_back_empty() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        for sees_herself_leave in [true, false] {
            scene.bob_types().await;
            assert_eq!(scene.alice_hears().await, [bob(), Value::Null]);
            scene.alice.leave(&scene.room).await;
            if sees_herself_leave {
                scene.alice.sync().await;
                assert_eq!(scene.after_restart(&scene.alice).await, NOTHING);
            }
            scene.bob_stops().await;
            scene.alice.join(&scene.room).await;
            assert_eq!(scene.alice_hears().await, [nobody(), Value::Null]);
            assert_eq!(scene.after_restart(&scene.alice).await, NOTHING);
        }
        // Whoever types in a room that comes new is shown, too.
        scene.alice.leave(&scene.room).await;
        scene.bob_types().await;
        scene.alice.sync().await;
        scene.alice.join(&scene.room).await;
        assert_eq!(scene.alice_hears().await, [bob(), Value::Null]);
        scene.bob_stops().await;
        assert_eq!(scene.after_restart(&scene.alice).await, everything());
    })
    .await;
}

#[tokio::test]
async fn whoever_is_ignored_may_still_be_shown() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        scene.bob_types().await;
        scene.alice.sync().await;
        let content = json!({"ignored_users": {"@bob:example.org": {}}});
        let (me, content) = (&scene.alice.requester, to_raw_value(&content).unwrap());
        let data = &scene.world.account_data;
        data.set(me, None, "m.ignored_user_list", content).await.unwrap();
        assert_eq!(scene.alice_hears().await, NOTHING);
        let shows_bob = scene.alice.clone();
        scene.bob_stops().await;
        assert_eq!(scene.after_restart(&shows_bob).await, everything());
        assert_eq!(scene.alice_hears().await, [nobody(), Value::Null]);
        assert_eq!(scene.after_restart(&scene.alice).await, NOTHING);
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_for_nothing_shows_what_she_showed() {
    each_world(async |world| {
        let mut scene = Scene::new(world).await;
        let away = scene.bob.create().await;
        for is_typing in [false, true] {
            if is_typing {
                scene.bob_types().await;
                scene.alice.sync().await;
            }
            let held = scene.alice.since.clone();
            // The counter moves on in a room that does not concern her.
            let timeout_ms = Some(30_000).filter(|_| !is_typing);
            scene.set(&away, timeout_ms).await;
            let answer = scene.alice.wait(Duration::from_millis(1)).await;
            assert_eq!(answer.get("rooms"), None);
            assert_ne!(scene.alice.since, held);
            scene.bob_stops().await;
            let expected = if is_typing { everything() } else { NOTHING };
            assert_eq!(scene.after_restart(&scene.alice).await, expected);
        }
    })
    .await;
}
