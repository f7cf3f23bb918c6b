//! Registration with the shared secret, as Synapse's tools do it: the one endpoint of its admin API
//! so far.

use serde::{Deserialize, Serialize};
use user::{session::NewSession, shared_secret::SharedSecretRegistration};

use crate::{
    error::{FORBIDDEN, UNKNOWN},
    extract::Call,
    register,
    reply::{self, Outcome},
};

/// The answer of `GET`.
#[derive(Serialize)]
struct Nonce {
    nonce: String,
}

/// `GET /_synapse/admin/v1/register`.
pub(crate) async fn nonce(call: Call) -> Outcome {
    let nonce = call.state.shared_secret.issue_nonce();
    reply::json(&Nonce { nonce: nonce.map_err(without_secret)? })
}

/// As Synapse says it, which tools look for.
fn without_secret(error: user::Error) -> crate::error::ApiError {
    match error {
        user::Error::RegistrationDisabled => {
            UNKNOWN.with("Shared secret registration is not enabled")
        }
        error => error.into(),
    }
}

/// `POST /_synapse/admin/v1/register`.
#[derive(Deserialize)]
struct Register {
    nonce: String,
    username: String,
    displayname: Option<String>,
    password: String,
    #[serde(default)]
    admin: bool,
    user_type: Option<String>,
    mac: String,
    #[serde(default)]
    inhibit_login: bool,
}

/// `POST /_synapse/admin/v1/register`.
pub(crate) async fn register(call: Call) -> Outcome {
    let request: Register = call.json()?;
    if request.user_type.is_some() {
        return Err(FORBIDDEN.with("There are no types of users on this server"));
    }
    let login = NewSession { seen: call.seen(), ..NewSession::default() };
    let registration = SharedSecretRegistration {
        nonce: request.nonce,
        username: request.username,
        displayname: request.displayname,
        password: request.password,
        admin: request.admin,
        user_type: None,
        mac: request.mac,
        login: (!request.inhibit_login).then_some(login),
    };
    let registered = call.state.shared_secret.register(registration).await;
    register::answer(&registered.map_err(without_secret)?)
}
