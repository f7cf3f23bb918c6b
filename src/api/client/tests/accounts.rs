//! One's own account and devices.

use std::time::Duration;

use room::{MemberProfile, membership::OwnMembership};
use ruma::{RoomId, UserId};
use serde_json::{Value, json};

use super::world::{Client, PASSWORD, World, each_world};

fn auth(client: &Client, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": client.user_id },
        "password": password,
    })
}

async fn log_in_again(client: &Client, password: &str) -> super::world::Reply {
    client.world.anonymous().post("login", &auth(client, password)).await
}

#[tokio::test]
async fn a_password_is_changed() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let other = world.anonymous().of(&log_in_again(&alice, PASSWORD).await.ok());
        let third = world.anonymous().of(&log_in_again(&alice, PASSWORD).await.ok());
        let change = |auth: Value, keep: bool| {
            json!({ "auth": auth, "new_password": "looking-glass", "logout_devices": !keep })
        };
        let wrong = alice.post("account/password", &change(auth(&alice, "x"), true)).await;
        wrong.is(401, "M_FORBIDDEN");
        let right = auth(&alice, PASSWORD);
        alice.post("account/password", &change(right, true)).await.ok();
        log_in_again(&alice, PASSWORD).await.is(403, "M_FORBIDDEN");
        log_in_again(&alice, "looking-glass").await.ok();
        other.get("account/whoami").await.ok();
        let right = auth(&other, "looking-glass");
        other.post("account/password", &change(right, false)).await.ok();
        other.get("account/whoami").await.ok();
        alice.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
        third.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
    })
    .await;
}

#[tokio::test]
async fn a_deactivated_account_is_gone() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        bob.join(&room).await;
        let body = json!({ "auth": auth(&bob, PASSWORD), "erase": true });
        let answer = bob.post("account/deactivate", &body).await.ok();
        assert_eq!(answer["id_server_unbind_result"], "success");
        bob.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
        log_in_again(&bob, PASSWORD).await.is(403, "M_USER_DEACTIVATED");
        let taken = json!({ "username": "bob", "auth": { "type": "m.login.dummy" } });
        world.anonymous().post("register", &taken).await.is(400, "M_USER_IN_USE");
        let members = alice.get(&format!("rooms/{room}/joined_members")).await.ok();
        assert_eq!(members["joined"].as_object().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_under_way_brings_nobody_back() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        let request = json!({ "auth": auth(&bob, PASSWORD) });
        bob.post("account/deactivate", &request).await.ok();
        // What a request comes to that was admitted just before.
        let joining = OwnMembership {
            user: UserId::parse(&bob.user_id).unwrap(),
            room_id: RoomId::parse(&room).unwrap(),
            reason: None,
            profile: MemberProfile::default(),
            via: Vec::new(),
            third_party_signed: None,
        };
        world.state.rooms.join(joining).await.unwrap();
        let member = format!("rooms/{room}/state/m.room.member/{}", bob.user_id);
        let leaving = async {
            while alice.get(&member).await.ok()["membership"] != "leave" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), leaving).await.unwrap();
        // Who is here may come and go.
        let carol = world.register("carol").await;
        carol.join(&room).await;
        let member = format!("rooms/{room}/state/m.room.member/{}", carol.user_id);
        assert_eq!(alice.get(&member).await.ok()["membership"], "join");
    })
    .await;
}

#[tokio::test]
async fn devices_are_listed_named_and_deleted() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let mut request = auth(&alice, PASSWORD);
        request["device_id"] = "PHONE".into();
        request["initial_device_display_name"] = "phone".into();
        let anonymous = world.anonymous();
        let phone = anonymous.of(&anonymous.post("login", &request).await.ok());
        let found = alice.get("devices/PHONE").await.ok();
        assert_eq!(found["display_name"], "phone");
        alice.put("devices/PHONE", &json!({ "display_name": "old phone" })).await.ok();
        assert_eq!(phone.get("devices/PHONE").await.ok()["display_name"], "old phone");
        alice.get("devices/NONE").await.is(404, "M_NOT_FOUND");
        let name = json!({ "display_name": "x" });
        alice.put("devices/NONE", &name).await.is(404, "M_NOT_FOUND");
        alice.put("devices/NONE", &json!({})).await.is(404, "M_NOT_FOUND");
        let challenge = alice.delete("devices/PHONE").await;
        assert_eq!(challenge.status, 401);
        assert!(challenge.body["session"].is_string() && challenge.body["params"].is_object());
        let body = json!({ "auth": auth(&alice, PASSWORD), "devices": ["PHONE"] });
        alice.post("delete_devices", &body).await.ok();
        alice.get("devices/PHONE").await.is(404, "M_NOT_FOUND");
        phone.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
    })
    .await;
}

#[tokio::test]
async fn others_cannot_prove_it() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let body = json!({ "auth": auth(&bob, PASSWORD), "devices": [alice.device_id] });
        alice.post("delete_devices", &body).await.is(403, "M_FORBIDDEN");
        alice.get("account/whoami").await.ok();
    })
    .await;
}

#[tokio::test]
async fn tokens_come_in_the_header_or_the_query() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let token = alice.token.clone().unwrap();
        let anonymous = world.anonymous();
        let path = format!("account/whoami?access_token={token}");
        assert_eq!(anonymous.get(&path).await.ok()["user_id"], alice.user_id);
        anonymous.get("account/whoami").await.is(401, "M_MISSING_TOKEN");
        let basic = anonymous.with_header("Authorization", "Basic YTpi");
        basic.get("account/whoami").await.is(401, "M_MISSING_TOKEN");
        let wrong = anonymous.with_header("Authorization", "Bearer nonsense");
        wrong.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
        let lower = anonymous.with_header("Authorization", &format!("bearer {token}"));
        lower.get("account/whoami").await.ok();
        // Where no token is needed a wrong one does no harm.
        wrong.get("/_matrix/client/versions").await.ok();
        wrong.get("login").await.ok();
    })
    .await;
}
