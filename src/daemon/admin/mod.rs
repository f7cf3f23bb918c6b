//! The admin socket: what the administrative commands ask the running server. JSON over HTTP on a
//! unix socket.
//!
//! Invariant: only root and the server's own user are answered, by the credentials that the kernel
//! gives of the peer, whatever the mode of the socket's file.

mod connection;
pub(crate) mod protocol;
mod registration_tokens;
mod reload;
mod users;

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{Connection, Dial, Peer};
use ruma::{OwnedServerName, OwnedUserId, UserId};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;
use user::{Accounts, RegistrationTokens};

use crate::reload::Asker;

/// Largest body of a command.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Connections at a time, which are no client's to take: who is flooded has to be able to act.
pub(crate) const MAX_CONNECTIONS: usize = 32;

/// What the socket answers from.
#[derive(Clone)]
pub(crate) struct Admin {
    /// Accounts of users.
    pub(crate) accounts: Accounts,
    /// Who holds one may register.
    pub(crate) registration_tokens: RegistrationTokens,
    /// This server's name.
    pub(crate) server_name: OwnedServerName,
    /// The way out.
    pub(crate) dial: Arc<dyn Dial>,
    /// The broker's socket, if that way leads through one.
    pub(crate) broker: Option<PathBuf>,
    /// Whoever reloads.
    pub(crate) ask: mpsc::Sender<Asker>,
}

/// The router of the admin socket.
pub(crate) fn router(admin: Admin) -> Router {
    users::routes()
        .merge(registration_tokens::routes())
        .merge(connection::routes())
        .merge(reload::routes())
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "no such command") })
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(middleware::from_fn(authorize))
        .with_state(admin)
}

/// Lets root and the server's own user in.
async fn authorize(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Connection>().map(|connection| connection.peer);
    if !is_allowed(peer, nix::unistd::geteuid().as_raw()) {
        tracing::warn!("somebody else than root and this server's user came to the admin socket");
        let reason = "only root and the server's own user may do this";
        return Refusal::new(StatusCode::FORBIDDEN, reason).into_response();
    }
    next.run(request).await
}

/// Whether this is root or the server's own user.
fn is_allowed(peer: Option<Peer>, own: u32) -> bool {
    match peer {
        Some(Peer::Unix { uid, .. }) => uid == 0 || uid == own,
        // A request over TCP, whatever way it came here.
        Some(Peer::Tcp(_)) | None => false,
    }
}

/// Why a command was not done.
pub(crate) struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl From<user::Error> for Refusal {
    fn from(error: user::Error) -> Self {
        let status = match &error {
            user::Error::Store(_) | user::Error::PasswordHash(_) | user::Error::Abandoned => {
                tracing::error!(%error, "an administrative command failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            user::Error::UserInUse => StatusCode::CONFLICT,
            user::Error::UnknownUser(_) | user::Error::NotFound(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        reply(self.status, &protocol::Refused { error: self.reason })
    }
}

/// A JSON answer.
fn reply(status: StatusCode, body: &impl Serialize) -> Response {
    // Bodies are structs of strings, numbers and booleans, which always become JSON.
    let mut response = Response::new(Body::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Reads the body of a command.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("wrong request: {error}")))
}

impl Admin {
    /// The user whom somebody means by a whole id, or by its part before the colon.
    fn user_id(&self, name: &str) -> Result<OwnedUserId, Refusal> {
        let parsed = UserId::parse_with_server_name(name, &self.server_name)
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, format!("{name} is no user")))?;
        if parsed.server_name() != self.server_name {
            let reason = format!("{parsed} is not a user of {}", self.server_name);
            return Err(Refusal::new(StatusCode::BAD_REQUEST, reason));
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_servers_user_are_answered() {
        let unix = |uid| Some(Peer::Unix { uid, gid: 0, pid: None });
        assert!(is_allowed(unix(0), 1000));
        assert!(is_allowed(unix(1000), 1000));
        assert!(!is_allowed(unix(1001), 1000));
        assert!(!is_allowed(unix(1000), 0));
        assert!(!is_allowed(Some(Peer::Tcp("127.0.0.1:1".parse().unwrap())), 1000));
        assert!(!is_allowed(None, 1000));
    }
}
