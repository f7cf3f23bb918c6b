//! The pages to which clients send their users.

use axum::http::Method;
use bytes::Bytes;
use serde_json::json;

use super::world::{Client, PASSWORD, Reply, World, each_world, escape, text};

/// A session of user-interactive authentication.
async fn challenge(client: &Client, path: &str) -> String {
    let reply = client.post(path, &json!({})).await;
    assert_eq!(reply.status, 401, "{path}");
    text(&reply.body["session"])
}

fn page(stage: &str) -> String {
    format!("auth/{stage}/fallback/web")
}

async fn submit(world: &World, stage: &str, form: &str) -> Reply {
    let form = Bytes::copy_from_slice(form.as_bytes());
    world.anonymous().ask(Method::POST, &page(stage), form).await
}

fn is_done(reply: &Reply) -> bool {
    assert_eq!(reply.headers["content-type"], "text/html; charset=utf-8");
    reply.status == 200 && reply.text.contains("window.onAuthDone()")
}

#[tokio::test]
async fn a_registration_goes_on_after_its_stage_in_a_browser() {
    each_world(async |world: World| {
        world.set_user(|settings| settings.registration.requires_token = true);
        let tokens = &world.state.registration_tokens;
        tokens.create(Some("once".to_owned()), Some(1), None).await.unwrap();
        let (anonymous, stage) = (world.anonymous(), "m.login.registration_token");
        let session = challenge(&anonymous, "register").await;
        let shown = anonymous.get(&format!("{}?session={session}", page(stage))).await;
        assert_eq!(shown.status, 200);
        assert!(shown.text.contains(&format!("value=\"{session}\"")));
        assert!(!is_done(&shown));
        let wrong = submit(&world, stage, &format!("session={session}&token=%3Cb%3E")).await;
        assert_eq!(wrong.status, 401);
        assert!(wrong.text.contains("class=\"wrong\""));
        assert!(is_done(&submit(&world, stage, &format!("session={session}&token=once")).await));
        // Whoever loads the page again sees that it is done.
        assert!(is_done(&anonymous.get(&format!("{}?session={session}", page(stage))).await));
        let auth = json!({ "session": session });
        let request = json!({ "username": "erin", "password": PASSWORD, "auth": auth });
        let erin = anonymous.post("register", &request).await.ok();
        assert_eq!(erin["user_id"], "@erin:example.org");
        let other = json!({ "username": "frank", "password": PASSWORD, "auth": auth });
        anonymous.post("register", &other).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn a_password_in_a_browser_authorises_what_was_asked_for() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let change = json!({ "new_password": "looking-glass" });
        let reply = alice.post("account/password", &change).await;
        let session = text(&reply.body["session"]);
        let stage = "m.login.password";
        let wrong = submit(&world, stage, &format!("session={session}&password=wrong")).await;
        assert_eq!(wrong.status, 401);
        let missing = submit(&world, stage, &format!("session={session}")).await;
        assert_eq!(missing.status, 401);
        let right = submit(&world, stage, &format!("session={session}&password={PASSWORD}")).await;
        assert!(is_done(&right));
        let auth = json!({ "session": session });
        let other = json!({ "new_password": "mirror", "auth": auth });
        alice.post("account/password", &other).await.is(403, "M_FORBIDDEN");
        alice.post("account/password", &json!({ "auth": auth })).await.ok();
        let login = |password: &str| {
            json!({ "type": "m.login.password", "user": "alice", "password": password })
        };
        alice.post("login", &login("looking-glass")).await.ok();
        alice.post("login", &login(PASSWORD)).await.is(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn what_nobody_waits_for_has_no_form() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        let session = challenge(&anonymous, "register").await;
        let nonsense = escape("\"><script>alert(1)</script>");
        for (stage, session) in [
            ("m.login.dummy", "unknown"),
            ("m.login.dummy", nonsense.as_str()),
            ("m.login.password", session.as_str()),
        ] {
            let shown = anonymous.get(&format!("{}?session={session}", page(stage))).await;
            assert_eq!(shown.status, 404, "{stage} {session}");
            assert!(!shown.text.contains("<form") && !shown.text.contains("<script"));
            let sent = submit(&world, stage, &format!("session={session}&password=x")).await;
            assert_eq!(sent.status, 404, "{stage} {session}");
        }
        let dummy = page("m.login.dummy");
        anonymous.get(&dummy).await.is(400, "M_MISSING_PARAM");
        submit(&world, "m.login.dummy", "").await.is(400, "M_MISSING_PARAM");
        let unknown = format!("{}?session={session}", page("m.login.sso"));
        anonymous.get(&unknown).await.is(404, "M_UNRECOGNIZED");
        assert!(is_done(&submit(&world, "m.login.dummy", &format!("session={session}")).await));
        let request = json!({
            "username": "bob", "password": PASSWORD, "auth": { "session": session },
        });
        anonymous.post("register", &request).await.ok();
    })
    .await;
}

#[tokio::test]
async fn guesses_in_a_browser_are_counted() {
    each_world(async |world: World| {
        world.set(|settings| {
            settings.rate_limits.enabled = true;
            settings.rate_limits.login_account.burst = 2;
        });
        let alice = world.register("alice").await;
        let session = challenge(&alice, "account/deactivate").await;
        let form = |password: &str| format!("session={session}&password={password}");
        for _ in 0..2 {
            let wrong = submit(&world, "m.login.password", &form("wrong")).await;
            assert_eq!(wrong.status, 401);
        }
        let refused = submit(&world, "m.login.password", &form(PASSWORD)).await;
        refused.is(429, "M_LIMIT_EXCEEDED");
    })
    .await;
}

#[tokio::test]
async fn the_page_of_a_log_in() {
    each_world(async |world: World| {
        for path in ["/_matrix/static/client/login/", "/_matrix/static/client/login?device_id=X"] {
            let page = world.anonymous().get(path).await;
            assert_eq!(page.status, 200);
            assert!(page.text.contains("window.matrixLogin.onLogin(response)"));
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("script-src 'sha256-"), "{policy}");
        }
    })
    .await;
}
