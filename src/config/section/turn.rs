//! `[turn]`: the TURN server that carries calls. Changed by a reload.

use std::time::Duration;

use crate::{reader::Reader, secret::Secret};

/// The section, when there is such a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its addresses, each `turn:…` or `turns:…`.
    pub uris: Vec<String>,
    /// The secret that it shares with this server.
    pub shared_secret: Secret,
    /// How long the password of a user lives.
    pub user_lifetime: Duration,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Turn> {
    let uris: Vec<String> = reader.or("uris", Vec::new());
    let shared_secret = reader.secret("shared_secret", "shared_secret_file");
    let user_lifetime = reader.within(
        "user_lifetime",
        Duration::from_hours(1),
        Duration::from_mins(1)..=Duration::from_hours(24 * 7),
    );
    let is_turn = |uri: &&String| uri.starts_with("turn:") || uri.starts_with("turns:");
    if let Some(other) = uris.iter().find(|uri| !is_turn(uri)) {
        reader.refuse("uris", &format!("expects turn:… and turns:…, not \"{other}\""));
    }
    if uris.is_empty() {
        return None;
    }
    let Some(shared_secret) = shared_secret else {
        reader.refuse("uris", "needs `turn.shared_secret_file` beside it");
        return None;
    };
    Some(Turn { uris, shared_secret, user_lifetime })
}
