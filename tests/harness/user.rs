//! Users of the server under test.

use std::ops::Deref;

use ring::hmac;
use serde_json::{Value, json};

use super::Client;

/// The shared secret that every server under test registers users with.
pub const REGISTRATION_SECRET: &str = "a secret that only tests share";

/// The password of every user under test.
const PASSWORD: &str = "correct horse battery staple";

/// A registered user with a device; a client with the user's access token.
#[derive(Clone)]
pub struct TestUser {
    /// `@name:server`.
    pub user_id: String,
    /// The device of the access token.
    pub device_id: String,
    /// The access token.
    pub access_token: String,
    /// The password.
    pub password: String,
    client: Client,
}

impl Deref for TestUser {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Registers a user by the shared secret, as `register_new_matrix_user` does.
pub(crate) async fn register(client: &Client, name: &str, is_admin: bool) -> TestUser {
    let path = "/_synapse/admin/v1/register";
    let nonce = client.get(path).await.ok()["nonce"].as_str().expect("a nonce").to_owned();
    let role = if is_admin { "admin" } else { "notadmin" };
    let signed = [nonce.as_str(), name, PASSWORD, role].join("\0");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, REGISTRATION_SECRET.as_bytes());
    let mac = hmac::sign(&key, signed.as_bytes());
    let mac = mac.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let body = json!({
        "nonce": nonce, "username": name, "password": PASSWORD, "admin": is_admin, "mac": mac,
    });
    let reply = client.post(path, &body).await.ok();
    let text = |key: &str| match &reply[key] {
        Value::String(text) => text.clone(),
        other => panic!("{key} is {other} in the answer to a registration"),
    };
    let access_token = text("access_token");
    TestUser {
        user_id: text("user_id"),
        device_id: text("device_id"),
        client: client.with_token(&access_token),
        access_token,
        password: PASSWORD.to_owned(),
    }
}
