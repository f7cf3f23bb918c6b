//! "User-Interactive Authentication API": its sessions live in memory, so a restart ends them. A
//! client that was in the middle is asked for the stages once more, in a new session, and can go
//! on from there.

use serde_json::{Value, json};
use tests::harness::{Client, Server, Setup, TestUser};

use super::{V3, text};

/// One step; the session that the server answers with.
async fn challenged(client: &Client, path: &str, body: &Value) -> String {
    let reply = client.post(path, body).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    // With the flows a client knows what to do next; an errcode would look like a failed stage.
    assert!(reply.body["flows"].is_array(), "{}", reply.text());
    assert_eq!(reply.body["errcode"], Value::Null, "{}", reply.text());
    assert!(reply.body["completed"].as_array().is_none_or(Vec::is_empty), "{}", reply.text());
    text(&reply.body["session"])
}

/// `body` with a stage of the session.
fn with_auth(body: &Value, mut stage: Value, session: &str) -> Value {
    stage["session"] = session.into();
    let mut body = body.clone();
    body["auth"] = stage;
    body
}

#[tokio::test]
async fn an_authentication_goes_on_after_a_restart() {
    let open = "[registration]\nenabled = true\nwithout_verification = true\n";
    let mut server = Server::start(Setup::with_fragment(open)).await;
    let client = server.client();
    let alice = server.register_user("alice").await;
    let registration = json!({ "username": "bob", "password": "a long password" });
    let dummy = json!({ "type": "m.login.dummy" });
    let (register, password) = (format!("{V3}/register"), format!("{V3}/account/password"));
    let change = json!({ "new_password": "another long password", "logout_devices": false });
    let proof = password_stage(&alice);

    let lost = challenged(&client, &register, &registration).await;
    let lost_change = challenged(&alice, &password, &change).await;
    server.restart().await;

    let body = with_auth(&registration, dummy.clone(), &lost);
    let session = challenged(&client, &register, &body).await;
    assert_ne!(session, lost);
    let made = client.post(&register, &with_auth(&registration, dummy, &session)).await.ok();
    assert_eq!(made["user_id"], "@bob:server.test");

    let body = with_auth(&change, proof.clone(), &lost_change);
    let session = challenged(&alice, &password, &body).await;
    assert_ne!(session, lost_change);
    alice.post(&password, &with_auth(&change, proof, &session)).await.ok();
}

fn password_stage(user: &TestUser) -> Value {
    json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user.user_id },
        "password": user.password,
    })
}
