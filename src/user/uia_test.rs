//! Flows step by step, what a session is bound to, and its end.

use serde_json::json;
use store::testing::{Database, for_each_engine};

use super::*;
use crate::testing::{Someone, World};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("no object: {value}") };
    object
}

async fn step(
    world: &World,
    user: Option<&Someone>,
    path: &str,
    body: Value,
) -> Result<Authorized, UiaError> {
    let body = object(body);
    let requester = user.map(|user| &user.requester);
    let operation = Operation { method: "POST", path, body: &body, requester };
    let flows =
        if user.is_some() { world.uia.account_flows() } else { world.uia.registration_flows() };
    world.uia.authorize(operation, flows).await
}

fn challenged(answer: Result<Authorized, UiaError>) -> (String, Value) {
    let Err(UiaError::Challenge(info)) = answer else { panic!("no challenge") };
    (info.session.clone().unwrap(), serde_json::to_value(&info).unwrap())
}

fn is_forbidden(answer: &Result<Authorized, UiaError>) -> bool {
    matches!(answer, Err(UiaError::Other(Error::Forbidden(_))))
}

async fn sqlite() -> (Database, World) {
    let database = Database::sqlite();
    let world = World::new(database.open().await).await;
    (database, world)
}

#[tokio::test]
async fn the_password_authorises_what_was_sent_with_it() {
    let (_database, world) = sqlite().await;
    let alice = world.register("alice", Some("secret")).await;
    let (session, info) = challenged(step(&world, Some(&alice), "/x", json!({"a": 1})).await);
    assert_eq!(info["flows"], json!([{"stages": ["m.login.password"]}]));
    assert_eq!(info["params"], json!({}));
    let auth = |password: &str| {
        json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "alice"},
            "password": password,
            "session": session,
        })
    };
    let wrong = json!({"a": 1, "auth": auth("wrong")});
    let (again, info) = challenged(step(&world, Some(&alice), "/x", wrong).await);
    assert_eq!((again, &info["errcode"]), (session.clone(), &json!("M_FORBIDDEN")));
    // Until a stage is completed the body may change.
    let right = json!({"a": 2, "auth": auth("secret")});
    let authorized = step(&world, Some(&alice), "/x", right.clone()).await.ok().unwrap();
    assert_eq!(authorized.body, object(json!({"a": 2})));
    // The answer got lost: the same again is authorised, nothing else is.
    assert!(step(&world, Some(&alice), "/x", right).await.is_ok());
    let other = step(&world, Some(&alice), "/x", json!({"a": 3, "auth": auth("secret")})).await;
    assert!(is_forbidden(&other));
    let elsewhere = json!({"a": 2, "auth": auth("secret")});
    assert!(is_forbidden(&step(&world, Some(&alice), "/y", elsewhere).await));
}

#[tokio::test]
async fn a_session_belongs_to_its_user() {
    let (_database, world) = sqlite().await;
    let alice = world.register("alice", Some("secret")).await;
    let bob = world.register("bob", Some("secret")).await;
    let (session, _) = challenged(step(&world, Some(&alice), "/x", json!({})).await);
    let auth = |user: &str| {
        json!({"auth": {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": "secret",
            "session": session,
        }})
    };
    assert!(is_forbidden(&step(&world, Some(&bob), "/x", auth("bob")).await));
    // The right password of the wrong user.
    assert!(is_forbidden(&step(&world, Some(&alice), "/x", auth("bob")).await));
    assert!(step(&world, Some(&alice), "/x", auth("@alice:example.org")).await.is_ok());
}

#[tokio::test]
async fn one_request_can_do_it_without_a_session() {
    let (_database, world) = sqlite().await;
    let body = json!({"username": "alice", "auth": {"type": "m.login.dummy"}});
    let authorized = step(&world, None, "/register", body).await.ok().unwrap();
    assert_eq!(authorized.body, object(json!({"username": "alice"})));
    let password = json!({"auth": {"type": "m.login.password", "password": "x", "user": "alice"}});
    let (_, info) = challenged(step(&world, None, "/register", password).await);
    assert_eq!(info["errcode"], "M_FORBIDDEN");
    let nonsense = json!({"auth": "dummy"});
    let answer = step(&world, None, "/register", nonsense).await;
    assert!(matches!(answer, Err(UiaError::Other(Error::BadJson(_)))));
}

#[tokio::test]
async fn a_body_is_remembered_and_may_be_filled_in() {
    let (_database, world) = sqlite().await;
    // Some clients ask for the flows with an empty body and go on in the same session.
    let (session, _) = challenged(step(&world, None, "/register", json!({})).await);
    let filled = json!({"username": "alice", "auth": {"session": session}});
    let (again, _) = challenged(step(&world, None, "/register", filled).await);
    assert_eq!(again, session);
    let only_auth = json!({"auth": {"type": "m.login.dummy", "session": session}});
    let authorized = step(&world, None, "/register", only_auth).await.ok().unwrap();
    assert_eq!(authorized.body, object(json!({"username": "alice"})));
}

#[tokio::test]
async fn an_unknown_session_proves_nothing() {
    let (_database, world) = sqlite().await;
    let body = json!({"auth": {"type": "m.login.dummy", "session": "made up"}});
    let (session, info) = challenged(step(&world, None, "/register", body).await);
    assert_ne!(session, "made up");
    assert!(info.get("completed").is_none());
    world.clock.advance(3_600_000);
    let late = json!({"auth": {"type": "m.login.dummy", "session": session}});
    let (fresh, _) = challenged(step(&world, None, "/register", late).await);
    assert_ne!(fresh, session);
}

#[tokio::test]
async fn stages_come_in_order() {
    let (_database, world) = sqlite().await;
    let flows = vec![vec![AuthType::RegistrationToken, AuthType::Dummy]];
    let token = world.registration_tokens.create(None, None, None).await.unwrap().token;
    let take = async |body: Value| {
        let body = object(body);
        let operation = Operation { method: "POST", path: "/r", body: &body, requester: None };
        world.uia.authorize(operation, flows.clone()).await
    };
    let (session, info) = challenged(take(json!({"auth": {"type": "m.login.dummy"}})).await);
    assert_eq!(info["errcode"], "M_FORBIDDEN");
    let with = |stage: &str, token: &str| {
        let auth = json!({"type": stage, "token": token, "session": session});
        json!({"auth": auth})
    };
    let (_, info) = challenged(take(with("m.login.registration_token", "wrong")).await);
    assert_eq!(info["errcode"], "M_UNAUTHORIZED");
    let (_, info) = challenged(take(with("m.login.registration_token", &token)).await);
    assert_eq!(info["completed"], json!(["m.login.registration_token"]));
    assert!(info.get("errcode").is_none());
    // A completed stage is not tried again.
    let (_, info) = challenged(take(with("m.login.registration_token", "wrong")).await);
    assert_eq!(info["completed"], json!(["m.login.registration_token"]));
    let authorized = take(with("m.login.dummy", "")).await.ok().unwrap();
    assert_eq!(authorized.registration_token.as_ref(), Some(&token));
}

#[tokio::test]
async fn a_token_is_reserved_while_a_registration_goes_on() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        world.set(|settings| settings.registration.requires_token = true);
        let token = world.registration_tokens.create(None, Some(1), None).await.unwrap().token;
        let auth = json!({"auth": {"type": "m.login.registration_token", "token": token}});
        let first = step(&world, None, "/register", auth.clone()).await.ok().unwrap();
        let (_, info) = challenged(step(&world, None, "/register", auth.clone()).await);
        assert_eq!(info["errcode"], "M_UNAUTHORIZED");
        assert_eq!(world.registration_tokens.find(&token).await.unwrap().unwrap().pending, 1);
        // The first one gives up.
        drop(first);
        assert_eq!(world.registration_tokens.find(&token).await.unwrap().unwrap().pending, 0);
        assert!(step(&world, None, "/register", auth).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn sessions_are_bounded() {
    let (_database, world) = sqlite().await;
    let (first, _) = challenged(step(&world, None, "/register", json!({})).await);
    let large = "x".repeat(1 << 20);
    for _ in 0..8 {
        challenged(step(&world, None, "/register", json!({"large": large})).await);
    }
    let body = json!({"auth": {"session": first}});
    let (session, _) = challenged(step(&world, None, "/register", body).await);
    assert_ne!(session, first);
}
