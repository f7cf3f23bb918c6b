//! Profiles, account data, tags, filters, push rules, presence.

use serde_json::json;

use super::world::{World, each_world, escape, text};

#[tokio::test]
async fn profiles() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let path = format!("profile/{}", alice.user_id);
        let anonymous = world.anonymous();
        assert_eq!(anonymous.get(&path).await.ok()["displayname"], "alice");
        let name = json!({ "displayname": "Alice" });
        alice.put(&format!("{path}/displayname"), &name).await.ok();
        assert_eq!(anonymous.get(&format!("{path}/displayname")).await.ok(), name);
        bob.put(&format!("{path}/displayname"), &name).await.is(403, "M_FORBIDDEN");
        alice.put(&format!("{path}/displayname"), &json!({})).await.is(400, "M_MISSING_PARAM");
        let zone = json!({ "m.tz": "Europe/Vienna" });
        let unstable = "/_matrix/client/unstable/uk.tcpip.msc4133/profile";
        alice.put(&format!("{unstable}/{}/m.tz", alice.user_id), &zone).await.ok();
        assert_eq!(bob.get(&format!("{path}/m.tz")).await.ok(), zone);
        alice.delete(&format!("{path}/m.tz")).await.ok();
        bob.get(&format!("{path}/m.tz")).await.is(404, "M_NOT_FOUND");
        bob.get("profile/@nobody:example.org").await.is(404, "M_NOT_FOUND");
        bob.get("profile/nobody").await.is(400, "M_INVALID_PARAM");
        let huge = json!({ "org.example.x": "x".repeat(70_000) });
        let reply = alice.put(&format!("{path}/org.example.x"), &huge).await;
        reply.is(400, "M_PROFILE_TOO_LARGE");
    })
    .await;
}

#[tokio::test]
async fn a_new_name_goes_into_rooms() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let path = format!("profile/{}/displayname", alice.user_id);
        alice.put(&path, &json!({ "displayname": "Queen" })).await.ok();
        let member = format!("rooms/{room}/state/m.room.member/{}", alice.user_id);
        assert_eq!(alice.get(&member).await.ok()["displayname"], "Queen");
    })
    .await;
}

#[tokio::test]
async fn account_data() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        let own = format!("user/{}/account_data/org.example.x", alice.user_id);
        let of_room = format!("user/{}/rooms/{room}/account_data/org.example.x", alice.user_id);
        for path in [&own, &of_room] {
            alice.get(path).await.is(404, "M_NOT_FOUND");
            let content = json!({ "path": path, "float": 1.5 });
            alice.put(path, &content).await.ok();
            assert_eq!(alice.get(path).await.ok(), content);
            bob.get(path).await.is(403, "M_FORBIDDEN");
            bob.put(path, &content).await.is(403, "M_FORBIDDEN");
            alice.put(path, &json!([])).await.is(400, "M_BAD_JSON");
        }
        let removal = "/_matrix/client/unstable/org.matrix.msc3391";
        alice.delete(&format!("{removal}/{own}")).await.ok();
        alice.get(&own).await.is(404, "M_NOT_FOUND");
        alice.delete(&own).await.is(405, "M_UNRECOGNIZED");
        let managed = format!("user/{}/rooms/{room}/account_data/m.fully_read", alice.user_id);
        alice.put(&managed, &json!({})).await.is(405, "M_BAD_JSON");
    })
    .await;
}

#[tokio::test]
async fn tags() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let path = format!("user/{}/rooms/{room}/tags", alice.user_id);
        assert_eq!(alice.get(&path).await.ok(), json!({ "tags": {} }));
        alice.put(&format!("{path}/m.favourite"), &json!({ "order": 0.5 })).await.ok();
        let tags = json!({ "tags": { "m.favourite": { "order": 0.5 } } });
        assert_eq!(alice.get(&path).await.ok(), tags);
        alice.delete(&format!("{path}/m.favourite")).await.ok();
        assert_eq!(alice.get(&path).await.ok(), json!({ "tags": {} }));
    })
    .await;
}

#[tokio::test]
async fn filters() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let path = format!("user/{}/filter", alice.user_id);
        let filter = json!({ "room": { "timeline": { "limit": 5 } } });
        let id = text(&alice.post(&path, &filter).await.ok()["filter_id"]);
        assert_eq!(alice.get(&format!("{path}/{id}")).await.ok(), filter);
        alice.get(&format!("{path}/none")).await.is(404, "M_NOT_FOUND");
        bob.get(&format!("{path}/{id}")).await.is(403, "M_FORBIDDEN");
        bob.post(&path, &filter).await.is(403, "M_FORBIDDEN");
        let wrong = json!({ "room": { "timeline": "x" } });
        let reply = alice.post(&path, &wrong).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
    })
    .await;
}

#[tokio::test]
async fn push_rules_are_the_default_ones() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let all = alice.get("pushrules/").await.ok();
        assert_eq!(all["global"]["override"][0]["rule_id"], ".m.rule.master");
        assert_eq!(alice.get("pushrules/global/").await.ok(), all["global"]);
    })
    .await;
}

#[tokio::test]
async fn presence() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let path = format!("presence/{}/status", alice.user_id);
        let status = json!({ "presence": "unavailable", "status_msg": "at tea" });
        alice.put(&path, &status).await.ok();
        let found = alice.get(&path).await.ok();
        assert_eq!(found["presence"], "unavailable");
        assert_eq!(found["status_msg"], "at tea");
        bob.get(&path).await.is(403, "M_FORBIDDEN");
        bob.put(&path, &status).await.is(403, "M_FORBIDDEN");
        alice.put(&path, &json!({ "presence": "dancing" })).await.is(400, "M_INVALID_PARAM");
        alice.put(&path, &json!({})).await.is(400, "M_MISSING_PARAM");
    })
    .await;
}

#[tokio::test]
async fn whoever_reads_and_types_is_there() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let event = escape(&alice.say(&room, "hello").await);
        let status = format!("presence/{}/status", alice.user_id);
        let away = json!({ "presence": "unavailable" });
        let (read, typing) = (json!({}), json!({ "typing": true }));
        for path in ["receipt/m.read", "receipt/m.read.private", "receipt/m.fully_read"] {
            alice.put(&status, &away).await.ok();
            alice.post(&format!("rooms/{room}/{path}/{event}"), &read).await.ok();
            assert_eq!(alice.get(&status).await.ok()["presence"], "online", "{path}");
        }
        alice.put(&status, &away).await.ok();
        alice.post(&format!("rooms/{room}/read_markers"), &read).await.ok();
        assert_eq!(alice.get(&status).await.ok()["presence"], "online");
        alice.put(&status, &away).await.ok();
        alice.put(&format!("rooms/{room}/typing/{}", alice.user_id), &typing).await.ok();
        assert_eq!(alice.get(&status).await.ok()["presence"], "online");
    })
    .await;
}

#[tokio::test]
async fn users_are_found() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        bob.join(&room).await;
        let search = json!({ "search_term": "bob" });
        let found = alice.post("user_directory/search", &search).await.ok();
        assert_eq!(found["results"][0]["user_id"], bob.user_id);
        assert_eq!(found["limited"], false);
        alice.post("user_directory/search", &json!({})).await.is(400, "M_MISSING_PARAM");
    })
    .await;
}
