//! Creating rooms, membership, upgrades.

use serde_json::{Value, json};

use super::world::{Client, World, each_world, text};

async fn state(client: &Client, room: &str, key: &str) -> Value {
    client.get(&format!("rooms/{room}/state/{key}")).await.ok()
}

#[tokio::test]
async fn a_room_is_as_it_was_asked_for() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice
            .create_room(&json!({
                "preset": "trusted_private_chat",
                "name": "Tea", "topic": "Hats", "room_alias_name": "tea",
                "invite": [bob.user_id], "is_direct": true, "room_version": "11",
                "creation_content": { "m.federate": false },
                "initial_state": [
                    { "type": "org.example.cup", "content": { "full": true } },
                ],
                "power_level_content_override": { "events_default": 10 },
            }))
            .await;
        assert_eq!(state(&alice, &room, "m.room.name").await["name"], "Tea");
        assert_eq!(state(&alice, &room, "m.room.create").await["m.federate"], false);
        assert_eq!(state(&alice, &room, "org.example.cup").await["full"], true);
        assert_eq!(state(&alice, &room, "m.room.power_levels").await["events_default"], 10);
        let invited = state(&alice, &room, &format!("m.room.member/{}", bob.user_id)).await;
        assert_eq!(invited["membership"], "invite");
        assert_eq!(invited["is_direct"], true);
        assert_eq!(invited["displayname"], "bob");
        let resolved = bob.get("directory/room/%23tea:example.org").await.ok();
        assert_eq!(resolved["room_id"], room);
        let taken = json!({ "room_alias_name": "tea" });
        alice.post("createRoom", &taken).await.is(400, "M_ROOM_IN_USE");
    })
    .await;
}

#[tokio::test]
async fn wrong_rooms() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let ask = async |request: Value| alice.post("createRoom", &request).await;
        ask(json!({ "room_version": 1 })).await.is(400, "M_BAD_JSON");
        ask(json!({ "room_version": "99" })).await.is(400, "M_UNSUPPORTED_ROOM_VERSION");
        ask(json!({ "preset": "no_chat" })).await.is(400, "M_INVALID_PARAM");
        ask(json!({ "visibility": "half" })).await.is(400, "M_INVALID_PARAM");
        ask(json!({ "invite": ["bob"] })).await.is(400, "M_BAD_JSON");
        ask(json!({ "initial_state": [{}] })).await.is(400, "M_MISSING_PARAM");
        let third_party = json!({ "invite_3pid": [{ "medium": "email" }] });
        ask(third_party).await.is(403, "M_THREEPID_DENIED");
        // Nobody is to wait and try the same again.
        let many = (0..300).map(|number| format!("@guest{number}:example.org"));
        ask(json!({ "invite": many.collect::<Vec<_>>() })).await.is(400, "M_UNKNOWN");
        ask(json!({ "room_alias_name": "two words" })).await.is(400, "M_INVALID_PARAM");
        let first = |kind: &str, content: Value| {
            json!({ "initial_state": [{ "type": kind, "content": content }] })
        };
        let foreign = json!({ "alias": "#nowhere:example.org" });
        ask(first("m.room.canonical_alias", foreign)).await.is(400, "M_BAD_ALIAS");
        ask(first("m.room.create", json!({}))).await.is(400, "M_INVALID_ROOM_STATE");
        let joined = alice.get("joined_rooms").await.ok();
        assert_eq!(joined, json!({ "joined_rooms": [] }));
    })
    .await;
}

#[tokio::test]
async fn in_and_out() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_room(&json!({ "preset": "private_chat" })).await;
        let at = |act: &str| format!("rooms/{room}/{act}");
        let target = json!({ "user_id": bob.user_id, "reason": "tea" });
        bob.post(&at("join"), &json!({})).await.is(403, "M_FORBIDDEN");
        bob.post(&at("invite"), &target).await.is(403, "M_FORBIDDEN");
        alice.post(&at("invite"), &json!({})).await.is(400, "M_MISSING_PARAM");
        let email = json!({ "medium": "email", "address": "a@b", "id_server": "c" });
        alice.post(&at("invite"), &email).await.is(403, "M_THREEPID_DENIED");
        alice.post(&at("invite"), &target).await.ok();
        let joined = bob.post(&format!("join/{room}"), &json!({ "reason": "hi" })).await.ok();
        assert_eq!(joined["room_id"], room);
        assert_eq!(bob.get("joined_rooms").await.ok()["joined_rooms"], json!([room]));
        bob.post(&at("forget"), &json!({})).await.is(400, "M_UNKNOWN");
        alice.post(&at("kick"), &target).await.ok();
        alice.post(&at("ban"), &target).await.ok();
        bob.post(&at("join"), &json!({})).await.is(403, "M_FORBIDDEN");
        alice.post(&at("unban"), &target).await.ok();
        alice.post(&at("unban"), &target).await.is(403, "M_BAD_STATE");
        alice.post(&at("invite"), &target).await.ok();
        bob.post(&at("leave"), &json!({})).await.ok();
        bob.get(&at("messages?dir=b")).await.ok();
        bob.post(&at("forget"), &json!({})).await.ok();
        bob.get(&at("messages?dir=b")).await.is(403, "M_FORBIDDEN");
        bob.get(&at("state")).await.is(403, "M_FORBIDDEN");
        let nowhere = "rooms/!nowhere:example.org";
        bob.post(&format!("{nowhere}/join"), &json!({})).await.is(404, "M_NOT_FOUND");
        bob.post(&format!("{nowhere}/leave"), &json!({})).await.is(404, "M_NOT_FOUND");
        bob.post("join/%23nowhere:example.org", &json!({})).await.is(404, "M_NOT_FOUND");
        bob.post("join/nowhere", &json!({})).await.is(400, "M_INVALID_PARAM");
    })
    .await;
}

#[tokio::test]
async fn a_join_may_say_more() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        let body = json!({
            "org.example.hat": "tall", "membership": "ban", "displayname": "alice",
            "join_authorised_via_users_server": alice.user_id,
        });
        bob.post(&format!("join/{room}"), &body).await.ok();
        let member = state(&alice, &room, &format!("m.room.member/{}", bob.user_id)).await;
        let expected =
            json!({ "membership": "join", "displayname": "bob", "org.example.hat": "tall" });
        assert_eq!(member, expected);
    })
    .await;
}

/// Whichever way a member event takes, the profile goes along, unless the client says otherwise.
#[tokio::test]
async fn a_member_event_that_a_client_writes_has_the_profile() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let invitation = json!({
            "type": "m.room.member", "state_key": bob.user_id,
            "content": { "membership": "invite", "org.example.hat": "tall" },
        });
        let request = json!({ "preset": "private_chat", "initial_state": [invitation] });
        let room = alice.create_room(&request).await;
        let key = format!("m.room.member/{}", bob.user_id);
        let expected =
            json!({ "membership": "invite", "displayname": "bob", "org.example.hat": "tall" });
        assert_eq!(state(&alice, &room, &key).await, expected);
        let path = format!("rooms/{room}/state/{key}");
        let join = json!({ "membership": "join" });
        let first = bob.put(&path, &join).await.ok();
        let expected = json!({ "membership": "join", "displayname": "bob" });
        assert_eq!(state(&alice, &room, &key).await, expected);
        assert_eq!(bob.put(&path, &join).await.ok(), first, "it is so already");
        let nick = json!({ "membership": "join", "displayname": "hat" });
        bob.put(&path, &nick).await.ok();
        assert_eq!(state(&alice, &room, &key).await, nick);
        alice.put(&path, &json!({ "membership": "leave" })).await.ok();
        assert_eq!(state(&alice, &room, &key).await, json!({ "membership": "leave" }));
    })
    .await;
}

#[tokio::test]
async fn a_body_may_be_left_out() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        let nothing = bytes::Bytes::new();
        let post = axum::http::Method::POST;
        for path in [format!("join/{room}"), format!("rooms/{room}/leave")] {
            bob.ask(post.clone(), &path, nothing.clone()).await.ok();
        }
        bob.ask(post, "createRoom", nothing).await.ok();
    })
    .await;
}

#[tokio::test]
async fn knocking() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let rule = json!({ "type": "m.room.join_rules", "content": { "join_rule": "knock" } });
        let room = alice.create_room(&json!({ "initial_state": [rule] })).await;
        let knocked = bob.post(&format!("knock/{room}"), &json!({ "reason": "me" })).await.ok();
        assert_eq!(knocked["room_id"], room);
        let member = state(&alice, &room, &format!("m.room.member/{}", bob.user_id)).await;
        assert_eq!((&member["membership"], &member["reason"]), (&json!("knock"), &json!("me")));
        let target = json!({ "user_id": bob.user_id });
        alice.post(&format!("rooms/{room}/invite"), &target).await.ok();
        bob.join(&room).await;
    })
    .await;
}

#[tokio::test]
async fn members_are_listed() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        bob.join(&room).await;
        bob.post(&format!("rooms/{room}/leave"), &json!({})).await.ok();
        let members = async |query: &str| {
            let found = alice.get(&format!("rooms/{room}/members{query}")).await.ok();
            let chunk = found["chunk"].as_array().unwrap().clone();
            chunk.iter().map(|event| text(&event["state_key"])).collect::<Vec<_>>()
        };
        assert_eq!(members("").await.len(), 2);
        assert_eq!(members("?membership=leave").await, [bob.user_id.as_str()]);
        assert_eq!(members("?not_membership=leave").await, [alice.user_id.as_str()]);
        let path = format!("rooms/{room}/members");
        alice.get(&format!("{path}?membership=x")).await.is(400, "M_INVALID_PARAM");
        alice.get(&format!("{path}?at=x")).await.is(400, "M_INVALID_PARAM");
        let joined = alice.get(&format!("rooms/{room}/joined_members")).await.ok();
        assert_eq!(joined["joined"][&alice.user_id]["display_name"], "alice");
        bob.get(&format!("rooms/{room}/joined_members")).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_leads_on() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let old = alice.create_room(&json!({ "room_version": "10", "name": "Old" })).await;
        let tag = format!("user/{}/rooms/{old}/tags/m.favourite", alice.user_id);
        alice.put(&tag, &json!({})).await.ok();
        let path = format!("rooms/{old}/upgrade");
        alice.post(&path, &json!({})).await.is(400, "M_MISSING_PARAM");
        let unknown = json!({ "new_version": "99" });
        alice.post(&path, &unknown).await.is(400, "M_UNSUPPORTED_ROOM_VERSION");
        let upgraded = alice.post(&path, &json!({ "new_version": "12" })).await.ok();
        let new = text(&upgraded["replacement_room"]);
        assert_eq!(state(&alice, &old, "m.room.tombstone").await["replacement_room"], new);
        assert_eq!(state(&alice, &new, "m.room.name").await["name"], "Old");
        let tags = alice.get(&format!("user/{}/rooms/{new}/tags", alice.user_id)).await.ok();
        assert_eq!(tags["tags"], json!({ "m.favourite": {} }));
    })
    .await;
}
