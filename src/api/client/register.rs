//! Registration.
//!
//! Spec: client-server API, "Account registration".

use ruma::{OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};
use user::{
    account::{Registered, Registration},
    session::NewSession,
};

use crate::{
    error::{ApiError, FORBIDDEN, MISSING_PARAM, UNKNOWN, UNRECOGNIZED},
    extract::{Call, from_object},
    rate::Kind,
    reply::{self, Outcome},
    session::SessionReply,
    uia,
};

/// The query of `/register`.
#[derive(Deserialize)]
struct RegisterQuery {
    kind: Option<String>,
}

/// `POST /register`, without `auth`.
#[derive(Deserialize)]
struct Register {
    #[serde(rename = "type")]
    login_type: Option<String>,
    username: Option<String>,
    password: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    inhibit_login: bool,
    #[serde(default)]
    refresh_token: bool,
}

/// A new account without a session.
#[derive(Serialize)]
struct WithoutSession<'a> {
    user_id: &'a UserId,
    home_server: &'a str,
}

/// `POST /register`.
pub(crate) async fn register(call: Call) -> Outcome {
    // Read before anything is decided, so that what is no JSON is always told.
    let body = call.object()?;
    let query: RegisterQuery = call.query()?;
    match query.kind.as_deref() {
        None | Some("user") => {}
        Some("guest") => return register_guest(&call).await,
        Some(kind) => return Err(UNRECOGNIZED.with(format!("Unknown kind of account: {kind}"))),
    }
    let request: Register = from_object(body)?;
    if request.login_type.is_some() {
        return Err(UNKNOWN.with("There are no application services on this server"));
    }
    if !call.state.user_settings.load().registration.enabled {
        return Err(FORBIDDEN.with("Registration is disabled on this server"));
    }
    let (username, password) = (request.username.as_deref(), request.password.as_deref());
    call.state.accounts.check_registration(username, password).await?;
    let authorized = uia::authorize_registration(&call).await?;
    call.count(Kind::Registration)?;
    let request: Register = from_object(authorized.body.clone())?;
    let password =
        request.password.ok_or_else(|| MISSING_PARAM.with("missing parameter password"))?;
    let session = NewSession {
        device_id: request.device_id,
        initial_device_display_name: request.initial_device_display_name,
        refresh_token: request.refresh_token,
        seen: call.seen(),
    };
    let registration = Registration {
        username: request.username,
        password: Some(password),
        registration_token: authorized.registration_token.clone(),
        login: (!request.inhibit_login).then_some(session),
        ..Registration::default()
    };
    answer(&call.state.accounts.register(registration).await?)
}

async fn register_guest(call: &Call) -> Outcome {
    call.count(Kind::Registration)?;
    let request: Register = call.json()?;
    let session = NewSession {
        initial_device_display_name: request.initial_device_display_name,
        seen: call.seen(),
        ..NewSession::default()
    };
    answer(&call.state.accounts.register_guest(session).await?)
}

/// The answer to a registration.
pub(crate) fn answer(registered: &Registered) -> Outcome {
    match &registered.session {
        Some(session) => reply::json(&SessionReply::of(session)),
        None => reply::json(&WithoutSession {
            user_id: &registered.user_id,
            home_server: registered.user_id.server_name().as_str(),
        }),
    }
}

/// The query of `/register/available`.
#[derive(Deserialize)]
struct Available {
    username: String,
}

/// `GET /register/available`.
pub(crate) async fn available(call: Call) -> Outcome {
    let query: Available = call.query()?;
    let settings = call.state.user_settings.load();
    if !settings.registration.enabled || !settings.registration.availability_check {
        return Err(FORBIDDEN.with("This server does not tell which names are free"));
    }
    call.state.accounts.check_available(&query.username).await?;
    reply::json(&serde_json::json!({ "available": true }))
}

/// The query of the check of a registration token.
#[derive(Deserialize)]
struct TokenValidity {
    token: String,
}

/// `GET /register/m.login.registration_token/validity`.
pub(crate) async fn token_validity(call: Call) -> Outcome {
    let query: TokenValidity = call.query()?;
    check_enabled(&call)?;
    let valid = call.state.registration_tokens.is_valid(&query.token).await?;
    reply::json(&serde_json::json!({ "valid": valid }))
}

fn check_enabled(call: &Call) -> Result<(), ApiError> {
    if call.state.user_settings.load().registration.enabled {
        return Ok(());
    }
    Err(FORBIDDEN.with("Registration is disabled on this server"))
}
