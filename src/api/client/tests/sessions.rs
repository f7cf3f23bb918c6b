//! Log-in, log-out, registration.

use serde_json::{Value, json};

use super::world::{Client, PASSWORD, World, each_world, escape, text};

fn by_password(user: &str, password: &str) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user },
        "password": password,
    })
}

async fn login(world: &World, request: &Value) -> Client {
    let anonymous = world.anonymous();
    anonymous.of(&anonymous.post("login", request).await.ok())
}

#[tokio::test]
async fn log_in_and_out() {
    each_world(async |world: World| {
        world.register("alice").await;
        let anonymous = world.anonymous();
        let flows = anonymous.get("login").await.ok();
        assert_eq!(flows["flows"][0]["type"], "m.login.password");
        for user in ["alice", "@alice:example.org", "ALICE"] {
            let alice = login(&world, &by_password(user, PASSWORD)).await;
            let whoami = alice.get("account/whoami").await.ok();
            assert_eq!(whoami["user_id"], "@alice:example.org");
            assert_eq!(whoami["device_id"], alice.device_id);
            alice.post("logout", &json!({})).await.ok();
            alice.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
        }
        let old = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
        let alice = login(&world, &old).await;
        assert_eq!(alice.get("devices").await.ok()["devices"].as_array().unwrap().len(), 2);
        alice.post("logout/all", &json!({})).await.ok();
        alice.get("devices").await.is(401, "M_UNKNOWN_TOKEN");
    })
    .await;
}

#[tokio::test]
async fn wrong_log_ins() {
    each_world(async |world: World| {
        world.register("alice").await;
        let anonymous = world.anonymous();
        let ask = async |request: Value| anonymous.post("login", &request).await;
        ask(by_password("alice", "wrong")).await.is(403, "M_FORBIDDEN");
        ask(by_password("nobody", PASSWORD)).await.is(403, "M_FORBIDDEN");
        ask(by_password("@alice:elsewhere.org", PASSWORD)).await.is(403, "M_FORBIDDEN");
        let mut other = by_password("alice", PASSWORD);
        for (kind, status, code) in [
            ("m.id.thirdparty", 403, "M_FORBIDDEN"),
            ("m.id.phone", 403, "M_FORBIDDEN"),
            ("org.example.id", 400, "M_UNKNOWN"),
        ] {
            other["identifier"]["type"] = kind.into();
            ask(other.clone()).await.is(status, code);
        }
        ask(json!({})).await.is(400, "M_MISSING_PARAM");
        ask(json!({ "type": "m.login.password" })).await.is(400, "M_MISSING_PARAM");
        ask(json!({ "type": "m.login.sso" })).await.is(400, "M_UNKNOWN");
        ask(json!({ "type": "m.login.token", "token": "none" })).await.is(403, "M_FORBIDDEN");
        ask(json!({ "type": 7 })).await.is(400, "M_BAD_JSON");
        world.set_user(|settings| settings.passwords.enabled = false);
        ask(by_password("alice", PASSWORD)).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn tokens_are_refreshed() {
    each_world(async |world: World| {
        world.register("alice").await;
        let mut request = by_password("alice", PASSWORD);
        request["refresh_token"] = true.into();
        let anonymous = world.anonymous();
        let session = anonymous.post("login", &request).await.ok();
        assert_eq!(session["expires_in_ms"], 300_000);
        let alice = anonymous.of(&session);
        world.clock.advance(300_001);
        let reply = alice.get("account/whoami").await;
        reply.is(401, "M_UNKNOWN_TOKEN");
        assert_eq!(reply.body["soft_logout"], true);
        // For good one may log out nevertheless.
        for path in ["logout", "logout/all"] {
            let phone = anonymous.of(&anonymous.post("login", &request).await.ok());
            world.clock.advance(300_001);
            phone.get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
            phone.post(path, &json!({})).await.ok();
            let reply = phone.get("account/whoami").await;
            assert_eq!(reply.body["soft_logout"], false, "{path}");
        }
        let session = anonymous.post("login", &request).await.ok();
        world.clock.advance(300_001);
        let refresh = json!({ "refresh_token": session["refresh_token"] });
        let renewed = anonymous.post("refresh", &refresh).await.ok();
        let alice = anonymous.of(&renewed);
        alice.get("account/whoami").await.ok();
        anonymous.post("refresh", &refresh).await.is(401, "M_UNKNOWN_TOKEN");
        let nonsense = json!({ "refresh_token": "nonsense" });
        anonymous.post("refresh", &nonsense).await.is(401, "M_UNKNOWN_TOKEN");
        anonymous.post("refresh", &json!({})).await.is(400, "M_MISSING_PARAM");
    })
    .await;
}

#[tokio::test]
async fn a_device_lets_another_one_in() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let path = "/_matrix/client/v1/login/get_token";
        let challenge = alice.post(path, &json!({})).await;
        assert_eq!(challenge.status, 401);
        let mut auth = by_password("alice", PASSWORD);
        auth["session"] = challenge.body["session"].clone();
        let issued = alice.post(path, &json!({ "auth": auth })).await.ok();
        // Each one has to be consented to.
        let session = json!({ "auth": { "session": auth["session"] } });
        assert_eq!(alice.post(path, &session).await.status, 401);
        let request = json!({ "type": "m.login.token", "token": issued["login_token"] });
        let other = login(&world, &request).await;
        assert_ne!(other.device_id, alice.device_id);
        let again = world.anonymous().post("login", &request).await;
        again.is(403, "M_FORBIDDEN");
        world.set_user(|settings| settings.sessions.login_token_lifetime_ms = None);
        alice.post(path, &json!({})).await.is(404, "M_UNRECOGNIZED");
    })
    .await;
}

#[tokio::test]
async fn registration_step_by_step() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        let free = anonymous.get("register/available?username=bob").await.ok();
        assert_eq!(free["available"], true);
        let mut request = json!({ "username": "Bob", "password": PASSWORD, "device_id": "B" });
        let challenge = anonymous.post("register", &request).await;
        assert_eq!(challenge.status, 401);
        assert_eq!(challenge.body["flows"], json!([{ "stages": ["m.login.dummy"] }]));
        request["auth"] = json!({ "type": "m.login.dummy", "session": challenge.body["session"] });
        let session = anonymous.post("register", &request).await.ok();
        assert_eq!(session["user_id"], "@bob:example.org");
        assert_eq!(session["device_id"], "B");
        anonymous.of(&session).get("account/whoami").await.ok();
        anonymous.get("register/available?username=bob").await.is(400, "M_USER_IN_USE");
        let taken = json!({ "username": "bob", "auth": { "type": "m.login.dummy" } });
        anonymous.post("register", &taken).await.is(400, "M_USER_IN_USE");
        let inhibited = json!({
            "username": "carol", "password": PASSWORD, "inhibit_login": true,
            "auth": { "type": "m.login.dummy" },
        });
        let carol = anonymous.post("register", &inhibited).await.ok();
        assert_eq!(carol["user_id"], "@carol:example.org");
        assert_eq!(carol["access_token"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn wrong_registrations() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        let dummy = json!({ "type": "m.login.dummy" });
        for name in ["", "a b", "a:b", "é", "_app", "12"] {
            let request = json!({ "username": name, "password": PASSWORD, "auth": dummy });
            anonymous.post("register", &request).await.is(400, "M_INVALID_USERNAME");
        }
        let without_password = json!({ "username": "dave", "auth": dummy });
        anonymous.post("register", &without_password).await.is(400, "M_MISSING_PARAM");
        anonymous.post("register?kind=robot", &json!({})).await.is(400, "M_UNRECOGNIZED");
        anonymous.get("register/available").await.is(400, "M_MISSING_PARAM");
        world.set_user(|settings| settings.registration.enabled = false);
        anonymous.post("register", &json!({})).await.is(403, "M_FORBIDDEN");
        anonymous.get("register/available?username=x").await.is(403, "M_FORBIDDEN");
        let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=x";
        anonymous.get(validity).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn registration_tokens() {
    each_world(async |world: World| {
        world.set_user(|settings| settings.registration.requires_token = true);
        let tokens = &world.state.registration_tokens;
        tokens.create(Some("once".to_owned()), Some(1), None).await.unwrap();
        let anonymous = world.anonymous();
        let validity = "/_matrix/client/v1/register/m.login.registration_token/validity";
        let valid = anonymous.get(&format!("{validity}?token=once")).await.ok();
        assert_eq!(valid["valid"], true);
        let register = async |name: &str, token: &str| {
            let challenge = anonymous.post("register", &json!({})).await;
            let auth = json!({
                "type": "m.login.registration_token", "token": token,
                "session": challenge.body["session"],
            });
            let request = json!({ "username": name, "password": PASSWORD, "auth": auth });
            anonymous.post("register", &request).await
        };
        assert_eq!(register("erin", "wrong").await.status, 401);
        register("erin", "once").await.ok();
        assert_eq!(register("frank", "once").await.status, 401);
        let valid = anonymous.get(&format!("{validity}?token=once")).await.ok();
        assert_eq!(valid["valid"], false);
    })
    .await;
}

#[tokio::test]
async fn guests_may_do_little() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        let session = anonymous.post("register?kind=guest", &json!({})).await.ok();
        let guest = anonymous.of(&session);
        assert_eq!(guest.get("account/whoami").await.ok()["is_guest"], true);
        let refused = guest.post("createRoom", &json!({})).await;
        refused.is(403, "M_GUEST_ACCESS_FORBIDDEN");
        let profile = format!("profile/{}", guest.user_id);
        let name = json!({ "displayname": "Visitor" });
        guest.put(&format!("{profile}/displayname"), &name).await.ok();
        let zone = json!({ "m.tz": "Europe/Vienna" });
        let refused = guest.put(&format!("{profile}/m.tz"), &zone).await;
        refused.is(403, "M_GUEST_ACCESS_FORBIDDEN");
        let alice = world.register("alice").await;
        let closed = alice.create_public().await;
        let refused = guest.post(&format!("rooms/{closed}/join"), &json!({})).await;
        refused.is(403, "M_GUEST_ACCESS_FORBIDDEN");
        let own = format!("rooms/{closed}/state/m.room.member/{}", guest.user_id);
        for membership in ["join", "knock"] {
            let refused = guest.put(&own, &json!({ "membership": membership })).await;
            refused.is(403, "M_GUEST_ACCESS_FORBIDDEN");
        }
        let guest_access = json!({ "guest_access": "can_join" });
        alice.put(&format!("rooms/{closed}/state/m.room.guest_access"), &guest_access).await.ok();
        guest.join(&closed).await;
        guest.say(&closed, "hello").await;
        guest.put(&own, &json!({ "membership": "leave" })).await.ok();
        guest.put(&own, &json!({ "membership": "join" })).await.ok();
        let access = format!("rooms/{closed}/state/m.room.guest_access");
        alice.put(&access, &json!({ "guest_access": "forbidden" })).await.ok();
        assert_eq!(alice.get(&own).await.ok()["membership"], "leave");
        let opened = text(&alice.put(&access, &guest_access).await.ok()["event_id"]);
        guest.join(&closed).await;
        let redact = format!("rooms/{closed}/redact/{}/r", escape(&opened));
        alice.put(&redact, &json!({})).await.ok();
        assert_eq!(alice.get(&own).await.ok()["membership"], "leave");
        let members = alice.get(&format!("rooms/{closed}/joined_members")).await.ok();
        assert_eq!(members["joined"].as_object().unwrap().len(), 1, "alice stays");
        world.set_user(|settings| settings.registration.guests = false);
        let refused = anonymous.post("register?kind=guest", &json!({})).await;
        refused.is(403, "M_GUEST_ACCESS_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn the_shared_secret_is_needed() {
    each_world(async |world: World| {
        let admin = world.register_as("root", true).await;
        assert_eq!(admin.user_id, "@root:example.org");
        let anonymous = world.anonymous();
        let path = "/_synapse/admin/v1/register";
        let nonce = text(&anonymous.get(path).await.ok()["nonce"]);
        let mut request = json!({
            "nonce": nonce, "username": "eve", "password": "x", "admin": true, "mac": "00ff",
        });
        anonymous.post(path, &request).await.is(403, "M_FORBIDDEN");
        // The nonce is used up by the failure.
        anonymous.post(path, &request).await.is(400, "M_INVALID_PARAM");
        request["mac"] = Value::Null;
        anonymous.post(path, &request).await.is(400, "M_BAD_JSON");
        world.set_user(|settings| settings.registration.shared_secret = None);
        anonymous.get(path).await.is(400, "M_UNKNOWN");
    })
    .await;
}
