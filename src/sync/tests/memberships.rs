//! Rooms that come and go.

use ruma::api::client::room::create_room::v3::RoomPreset;
use serde_json::{Value, json};

use super::world::{World, each_world, joined, left, shorts, state, timeline};
use crate::StateSection;

const WITH_LEFT: &str = r#"{"room": {"include_leave": true, "timeline": {"limit": 20}}}"#;

fn with_left() -> Value {
    serde_json::from_str(WITH_LEFT).unwrap()
}

#[tokio::test]
async fn a_joined_room_comes_whole() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "old"})).await;
        bob.sync().await;
        alice.say(&room, "before").await;
        bob.join(&room).await;
        alice.say(&room, "after").await;
        let answer = bob.sync().await;
        let room_answer = joined(&answer, &room);
        let shown = timeline(room_answer);
        assert_eq!(shown[shown.len() - 3..], ["before", "join bob", "after"]);
        assert_eq!(room_answer["timeline"]["limited"], shown[0] != "create|");
        let all = [state(room_answer), shown].concat();
        for expected in ["create|", "power_levels|", "topic|", "join alice"] {
            assert_eq!(all.iter().filter(|one| *one == expected).count(), 1, "{expected}");
        }
        assert_eq!(room_answer["summary"]["m.joined_member_count"], 2);
        assert_eq!(room_answer["summary"]["m.heroes"], json!(["@alice:example.org"]));
        assert!(joined(&bob.sync().await, &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn others_see_somebody_join_and_leave() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create().await;
        alice.sync().await;
        bob.join(&room).await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["join bob"]);
        assert_eq!(joined(&answer, &room)["summary"]["m.joined_member_count"], 2);
        bob.leave(&room).await;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["leave bob"]);
        assert_eq!(joined(&answer, &room)["summary"]["m.joined_member_count"], 1);
    })
    .await;
}

#[tokio::test]
async fn who_leaves_sees_everything_up_to_that() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        bob.sync().await;
        alice.say(&room, "before").await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "before"})).await;
        bob.leave(&room).await;
        alice.say(&room, "after").await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "after"})).await;
        let answer = bob.sync().await;
        assert_eq!(timeline(left(&answer, &room)), ["before", "topic|", "leave bob"]);
        assert_eq!(state(left(&answer, &room)), [] as [&str; 0]);
        assert!(joined(&answer, &room).is_null());
        assert!(left(&bob.sync().await, &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn who_joins_and_leaves_between_two_answers_gets_the_state() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        bob.sync().await;
        bob.join(&room).await;
        bob.leave(&room).await;
        let answer = bob.sync().await;
        let all = [state(left(&answer, &room)), timeline(left(&answer, &room))].concat();
        assert!(all.contains(&"create|".to_owned()), "{all:?}");
        assert_eq!(all.last().unwrap(), "leave bob");
        assert!(joined(&answer, &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_gets_the_room_whole_and_not_as_left() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        bob.sync().await;
        bob.leave(&room).await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "missed"})).await;
        bob.join(&room).await;
        let answer = bob.sync().await;
        assert!(left(&answer, &room).is_null());
        let all = [state(joined(&answer, &room)), timeline(joined(&answer, &room))].concat();
        for expected in ["create|", "topic|", "join bob", "join alice"] {
            assert!(all.contains(&expected.to_owned()), "{expected} is not in {all:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn invitations_show_the_stripped_state() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice
            .create_with(RoomPreset::PrivateChat, |request| {
                request.name = Some("A room".to_owned());
            })
            .await;
        bob.sync().await;
        alice.invite(&bob, &room).await;
        let answer = bob.sync().await;
        let invitation = &answer["rooms"]["invite"][room.as_str()]["invite_state"];
        let mut shown = shorts(invitation);
        shown.sort();
        // Who invites is told, too.
        assert_eq!(shown, ["create|", "invite bob", "join alice", "join_rules|", "name|"]);
        let first = invitation["events"][0].as_object().unwrap();
        let mut keys = first.keys().collect::<Vec<_>>();
        keys.sort();
        assert_eq!(keys, ["content", "sender", "state_key", "type"]);
        assert_eq!(bob.sync().await.get("rooms"), None);
        // An initial answer has it, too.
        bob.since = None;
        assert!(bob.sync().await["rooms"]["invite"].get(room.as_str()).is_some());

        bob.leave(&room).await;
        let answer = bob.sync().await;
        assert_eq!(timeline(left(&answer, &room)), ["leave bob"]);
        assert_eq!(state(left(&answer, &room)), [] as [&str; 0]);
        assert_eq!(answer["rooms"].get("invite"), None);
    })
    .await;
}

#[tokio::test]
async fn knocks_are_told_to_the_knocker() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create_with(RoomPreset::PrivateChat, |_| ()).await;
        alice.set_state(&room, "m.room.join_rules", json!({"join_rule": "knock"})).await;
        bob.sync().await;
        bob.knock(&room).await;
        let answer = bob.sync().await;
        let shown = shorts(&answer["rooms"]["knock"][room.as_str()]["knock_state"]);
        assert_eq!(shown.iter().filter(|event| event.ends_with("bob")).count(), 1, "{shown:?}");
        assert!(shown.contains(&"knock bob".to_owned()), "{shown:?}");
        assert!(shown.contains(&"create|".to_owned()), "{shown:?}");
        alice.kick(&bob, &room).await;
        let answer = bob.sync().await;
        assert_eq!(timeline(left(&answer, &room)), ["leave bob"]);
    })
    .await;
}

#[tokio::test]
async fn who_is_removed_hears_of_it() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let (kicked, banned) = (alice.create().await, alice.create().await);
        for room in [&kicked, &banned] {
            bob.join(room).await;
        }
        bob.sync().await;
        alice.kick(&bob, &kicked).await;
        alice.ban(&bob, &banned).await;
        let answer = bob.sync().await;
        assert_eq!(timeline(left(&answer, &kicked)), ["leave bob"]);
        assert_eq!(timeline(left(&answer, &banned)), ["ban bob"]);
        // Also on a device that was not there then.
        bob.since = None;
        let answer = bob.sync().await;
        assert_eq!(timeline(left(&answer, &banned)).last().unwrap(), "ban bob");
        assert_eq!(timeline(left(&answer, &kicked)).last().unwrap(), "leave bob");
        assert!(timeline(left(&answer, &kicked)).len() > 1);
    })
    .await;
}

#[tokio::test]
async fn who_is_banned_after_leaving_sees_nothing_of_the_time_between() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let (banned, back) = (alice.create().await, alice.create().await);
        for room in [&banned, &back] {
            bob.join(room).await;
        }
        bob.sync().await;
        let topic = |topic: &str| json!({"topic": topic});
        for room in [&banned, &back] {
            alice.set_state(room, "m.room.topic", topic("before")).await;
            bob.leave(room).await;
            alice.say(room, "after").await;
            alice.set_state(room, "m.room.topic", topic("after")).await;
            alice
                .set_state(
                    room,
                    "m.room.history_visibility",
                    json!({"history_visibility": "joined"}),
                )
                .await;
        }
        bob.join(&back).await;
        bob.leave(&back).await;
        for room in [&banned, &back] {
            alice.say(room, "later").await;
            alice.set_state(room, "org.example.later", json!({})).await;
            alice.ban(&bob, room).await;
        }
        let limits = [(1, false), (1, true), (50, false), (50, true)];
        for (limit, full_state) in limits {
            let filter = json!({"room": {"timeline": {"limit": limit}}});
            let client = bob.clone().with_filter(filter);
            let mut request = client.request();
            request.full_state = full_state;
            let answer = client.ask(request).await.unwrap();
            let told = left(&answer, &banned);
            let all = ["topic|", "leave bob", "ban bob"];
            assert_eq!(timeline(told), all[all.len().saturating_sub(limit)..], "{told}");
            assert!(!told.to_string().contains("later"), "{told}");
            assert!(!told.to_string().contains("after"), "{told}");
            assert_eq!(state(told).contains(&"topic|".to_owned()), limit == 1);

            let told = left(&answer, &back);
            assert_eq!(timeline(told).last().unwrap(), "ban bob", "{told}");
            assert!(!told.to_string().contains("later"), "{told}");
        }
        // Who knows nothing gets the room as it was, and the ban.
        bob.since = None;
        bob.filter = with_left();
        let answer = bob.sync().await;
        let told = left(&answer, &banned);
        let shown = timeline(told);
        assert_eq!(shown[shown.len() - 4..], ["join bob", "topic|", "leave bob", "ban bob"]);
        assert!(!told.to_string().contains("after"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn who_left_an_open_room_gets_nothing_of_the_time_after() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        let open = json!({"history_visibility": "world_readable"});
        alice.set_state(&room, "m.room.history_visibility", open).await;
        bob.join(&room).await;
        bob.sync().await;
        bob.leave(&room).await;
        alice.say(&room, "after").await;
        alice.set_state(&room, "m.room.topic", json!({"topic": "after"})).await;
        alice.ban(&bob, &room).await;
        let told = bob.sync().await;
        let told = left(&told, &room);
        assert_eq!(timeline(told), ["leave bob", "ban bob"]);
        assert_eq!(state(told), [] as [&str; 0]);
        bob.since = None;
        let told = bob.sync().await;
        assert!(!left(&told, &room).to_string().contains("after"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_refused_invitation_is_filtered_and_told_as_state() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let bob = world.register("bob").await;
        let room = alice.create_with(RoomPreset::PrivateChat, |_| ()).await;
        let mut bob = bob.clone();
        bob.sync().await;
        alice.invite(&bob, &room).await;
        bob.leave(&room).await;
        let nothing = [] as [&str; 0];
        for (filter, shown, told, limited) in [
            (json!({}), &["leave bob"][..], &nothing[..], false),
            (json!({"limit": 0}), &nothing, &["leave bob"], true),
            (json!({"types": ["m.room.message"]}), &nothing, &["leave bob"], false),
        ] {
            let filter = json!({"room": {"timeline": filter}});
            let mut client = bob.clone().with_filter(filter);
            let answer = client.peek().await;
            let answer = left(&answer, &room);
            assert_eq!((timeline(answer), state(answer)), (owned(shown), owned(told)), "{answer}");
            assert_eq!(answer["timeline"]["limited"], limited);
            client.state = StateSection::After;
            let answer = client.peek().await;
            let after = shorts(&left(&answer, &room)["state_after"]);
            assert_eq!(after, ["leave bob"], "{answer}");
        }
    })
    .await;
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A room that bob has left, and in which things went on.
async fn archive(world: &World) -> (super::world::Client, ruma::OwnedRoomId) {
    let alice = world.register("alice").await;
    let bob = world.register("bob").await;
    let room = alice.create().await;
    alice.set_state(&room, "m.room.topic", json!({"topic": "before"})).await;
    bob.join(&room).await;
    alice.say(&room, "before").await;
    bob.leave(&room).await;
    alice.say(&room, "after").await;
    alice.set_state(&room, "m.room.topic", json!({"topic": "after"})).await;
    (bob, room)
}

#[tokio::test]
async fn left_rooms_are_archived_for_those_who_want_them() {
    each_world(async |world| {
        let (mut bob, room) = archive(&world).await;
        assert!(left(&bob.sync().await, &room).is_null());
        bob.since = None;
        bob.filter = with_left();
        let answer = bob.sync().await;
        let shown = timeline(left(&answer, &room));
        assert_eq!(shown[shown.len() - 3..], ["join bob", "before", "leave bob"]);
        assert!(left(&bob.sync().await, &room).is_null());

        // Without a timeline, the state says what was when he left.
        bob.since = None;
        bob.filter = json!({"room": {"include_leave": true, "timeline": {"limit": 0}}});
        let answer = bob.sync().await;
        let room_answer = left(&answer, &room);
        let states = room_answer["state"]["events"].as_array().unwrap();
        let topic = states.iter().find(|event| event["type"] == "m.room.topic").unwrap();
        assert_eq!(topic["content"]["topic"], "before");
        assert!(state(room_answer).contains(&"leave bob".to_owned()));
        assert_eq!(timeline(room_answer), [] as [&str; 0]);
    })
    .await;
}

#[tokio::test]
async fn forgotten_rooms_are_not_told() {
    each_world(async |world| {
        let (mut bob, room) = archive(&world).await;
        bob.filter = with_left();
        world.rooms.forget(bob.id(), &room).await.unwrap();
        assert!(left(&bob.sync().await, &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_forgotten_room_is_told_once() {
    each_world(async |world| {
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await;
        let room = alice.create().await;
        bob.join(&room).await;
        assert!(joined(&bob.sync().await, &room).is_object());
        bob.leave(&room).await;
        world.rooms.forget(bob.id(), &room).await.unwrap();
        assert!(left(&bob.sync().await, &room).is_object());
        assert!(left(&bob.sync().await, &room).is_null());
        bob.filter = with_left();
        let mut whole = bob.request();
        whole.full_state = true;
        assert!(left(&bob.ask(whole).await.unwrap(), &room).is_null());
    })
    .await;
}

#[tokio::test]
async fn history_is_visible_as_the_room_says() {
    each_world(async |world| {
        let filter = json!({"room": {"timeline": {"limit": 50}}});
        let alice = world.register("alice").await;
        let mut bob = world.register("bob").await.with_filter(filter.clone());
        let mut carol = world.register("carol").await.with_filter(filter);
        let room = alice.create().await;
        let visibility = |value: &str| json!({"history_visibility": value});
        alice.say(&room, "shared").await;
        alice.set_state(&room, "m.room.history_visibility", visibility("invited")).await;
        alice.say(&room, "invited only").await;
        alice.invite(&bob, &room).await;
        alice.say(&room, "bob is invited").await;
        bob.join(&room).await;
        carol.join(&room).await;
        alice.say(&room, "all joined").await;
        let messages = |answer: &Value| {
            let all = timeline(joined(answer, &room));
            all.into_iter()
                .filter(|one| one.contains(' ') && !one.starts_with("join"))
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(&bob.sync().await), ["invite bob", "bob is invited", "all joined"]);
        assert_eq!(messages(&carol.sync().await), ["all joined"]);
    })
    .await;
}
