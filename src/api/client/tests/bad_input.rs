//! What no client should send: each gets the specification's error, never a 500, and nothing is
//! half done.

use axum::http::Method;
use bytes::Bytes;
use serde_json::json;

use super::world::{World, each_world, escape};
use crate::routes::routes;

#[tokio::test]
async fn bodies_that_are_no_objects() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let path = format!("rooms/{room}/send/m.room.message/t");
        let put =
            async |body: &[u8]| alice.ask(Method::PUT, &path, Bytes::copy_from_slice(body)).await;
        for body in
            ["", "nonsense", "{", "{\"a\":}", "{\"a\":1}x", "{\"a\":NaN}", "{\"a\":Infinity}"]
        {
            put(body.as_bytes()).await.is(400, "M_NOT_JSON");
        }
        put(b"{\"a\":\"\xff\"}").await.is(400, "M_NOT_JSON");
        for body in ["[]", "7", "\"text\"", "null"] {
            put(body.as_bytes()).await.is(400, "M_BAD_JSON");
        }
        for number in ["9007199254740992", "-9007199254740992", "1.1", "1e400"] {
            let reply = put(format!("{{\"body\":{number}}}").as_bytes()).await;
            reply.is(400, "M_BAD_JSON");
        }
        assert!(alice.read(&room).await.is_empty());
    })
    .await;
}

/// What has not the form that the rules need is no question of rights.
#[tokio::test]
async fn power_levels_that_are_none() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let path = format!("rooms/{room}/state/m.room.power_levels");
        let own = alice.get(&path).await.ok();
        for wrong in [
            json!({ "users": 3 }),
            json!({ "users": { "nobody": 3 } }),
            json!({ "ban": "50" }),
            json!({ "events": null }),
            json!({ "notifications": { "room": "50" } }),
        ] {
            let mut levels = own.clone();
            for (key, value) in wrong.as_object().unwrap() {
                levels[key] = value.clone();
            }
            alice.put(&path, &levels).await.is(400, "M_BAD_JSON");
        }
        let member = format!("rooms/{room}/send/m.room.member/t");
        alice.put(&member, &json!({ "membership": "join" })).await.is(400, "M_BAD_JSON");
        let message = json!({ "users": { &alice.user_id: 101 } });
        alice.put(&path, &message).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn too_much() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let path = format!("rooms/{room}/send/m.room.message/t");
        let event = json!({ "body": "x".repeat(66_000) });
        alice.put(&path, &event).await.is(413, "M_TOO_LARGE");
        let body = json!({ "body": "x".repeat(600_000) });
        alice.put(&path, &body).await.is(413, "M_TOO_LARGE");
        let key = "k".repeat(300);
        let state = format!("rooms/{room}/state/org.example.x/{key}");
        alice.put(&state, &json!({})).await.is(413, "M_TOO_LARGE");
        let login = json!({ "type": "m.login.password", "password": "x".repeat(70_000) });
        world.anonymous().post("login", &login).await.is(413, "M_TOO_LARGE");
        assert!(alice.read(&room).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn identifiers_that_are_none() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let long = format!("!{}:example.org", "x".repeat(300));
        for room in ["room", "@alice:example.org", "%00", "!", &long] {
            for path in ["state", "messages?dir=b", "members", "aliases"] {
                let reply = alice.get(&format!("rooms/{room}/{path}")).await;
                assert!(reply.status.is_client_error(), "{room} {path}: {}", reply.body);
            }
        }
        alice.get("rooms/room/state").await.is(400, "M_INVALID_PARAM");
        alice.get("rooms/%FF%FE/state").await.is(400, "M_INVALID_PARAM");
        alice.get("profile/%40").await.is(400, "M_INVALID_PARAM");
        let event = format!("rooms/!r:example.org/event/{}", escape("no event"));
        alice.get(&event).await.is(400, "M_INVALID_PARAM");
    })
    .await;
}

/// Every route of the table, with parameters that fit nothing and bodies of every sort.
#[tokio::test]
async fn no_route_ever_fails_inside() {
    let bodies =
        ["", "{}", "[]", "nonsense", "{\"auth\":1}", "{\"user_id\":7,\"room_id\":[]}", "{\"a\":"];
    let values = ["x", "%00", "!r:example.org", "@u:example.org", "%23a:example.org", "%24e"];
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        for path in routes().iter().flat_map(|route| route.paths().collect::<Vec<_>>()) {
            if path.contains("logout") {
                continue;
            }
            for value in values {
                let path = fill(&path, value);
                for (index, body) in bodies.iter().enumerate() {
                    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE];
                    // A body means nothing to those that have none, so one is enough.
                    for method in methods.into_iter().filter(|it| index == 0 || *it != Method::GET)
                    {
                        let reply = alice.ask(method, &path, Bytes::from(*body)).await;
                        let status = reply.status.as_u16();
                        assert!(status < 500 || status == 502, "{path} {body}: {reply:?}");
                    }
                }
            }
        }
        alice.get("account/whoami").await.ok();
    })
    .await;
}

fn fill(path: &str, value: &str) -> String {
    let segments = path.split('/');
    let filled = segments.map(|segment| if segment.starts_with('{') { value } else { segment });
    filled.collect::<Vec<_>>().join("/")
}
