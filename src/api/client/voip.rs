//! Where calls find a TURN server.
//!
//! Spec: client-server API, "Voice over IP"; the password is that of the TURN REST API, which
//! servers such as coturn know as `use-auth-secret`.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use ruma::UserId;
use serde::Serialize;

use crate::{
    Turn,
    extract::Call,
    reply::{self, Outcome},
};

/// The answer of `GET /voip/turnServer`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct TurnServer<'a> {
    username: String,
    password: String,
    ttl: u64,
    uris: &'a [String],
}

/// `GET /voip/turnServer`. Without a server the answer is empty, as clients expect it.
pub(crate) async fn turn_server(call: Call) -> Outcome {
    match &call.state.settings.load().turn {
        Some(turn) => reply::json(&credentials(turn, call.user_id()?, call.state.now_ms())),
        None => reply::empty(),
    }
}

fn credentials<'a>(turn: &'a Turn, user: &UserId, now_ms: u64) -> TurnServer<'a> {
    let ttl = turn.user_lifetime.as_secs();
    let username = format!("{}:{user}", now_ms / 1000 + ttl);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, turn.shared_secret.as_bytes());
    let password = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
    TurnServer { username, password, ttl, uris: &turn.uris }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_password_is_the_mac_of_the_name() {
        let turn = Turn {
            uris: vec!["turn:turn.example.org".to_owned()],
            shared_secret: "n0t4ctuAllymatr1Xd0TorgSshar3d5ecret4obvIousreAsons".into(),
            user_lifetime: Duration::from_hours(24),
        };
        let user = ruma::user_id!("@user:example.org");
        let given = credentials(&turn, user, 1_443_693_231_000);
        assert_eq!(given.username, "1443779631:@user:example.org");
        assert_eq!(given.ttl, 86_400);
        let key =
            hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, turn.shared_secret.as_bytes());
        let mac = STANDARD.decode(&given.password).unwrap();
        assert!(hmac::verify(&key, given.username.as_bytes(), &mac).is_ok());
    }
}
