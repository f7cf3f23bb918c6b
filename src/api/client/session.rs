//! Log-in, log-out, refresh.
//!
//! Spec: client-server API, "Legacy API", "Refreshing access tokens".

use ruma::{OwnedDeviceId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use user::{
    login::PasswordLogin,
    session::{LoggedIn, NewSession},
};

use crate::{
    error::{ApiError, FORBIDDEN, INVALID_PARAM, MISSING_PARAM, UNKNOWN, UNKNOWN_PATH},
    extract::Call,
    rate::{Kind, Subject},
    reply::{self, Outcome},
    uia,
};

/// What users can be known by on servers that keep it.
const OTHER_IDENTIFIERS: [&str; 2] = ["m.id.thirdparty", "m.id.phone"];

/// What every way to log in has in common. The rest of the body depends on `type`.
#[derive(Deserialize)]
struct Login {
    #[serde(rename = "type")]
    kind: String,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
    identifier: Option<Identifier>,
    /// Before `identifier` there was this.
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
}

/// Who logs in.
#[derive(Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    user: Option<String>,
}

/// A new session as clients are told of it.
#[derive(Serialize)]
pub(crate) struct SessionReply<'a> {
    user_id: &'a UserId,
    access_token: &'a str,
    device_id: &'a OwnedDeviceId,
    home_server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    well_known: Option<Value>,
}

impl<'a> SessionReply<'a> {
    pub(crate) fn of(session: &'a LoggedIn) -> Self {
        let LoggedIn { user_id, device_id, tokens } = session;
        Self {
            user_id,
            access_token: &tokens.access_token,
            device_id,
            home_server: user_id.server_name().as_str(),
            refresh_token: tokens.refresh_token.as_deref(),
            expires_in_ms: tokens.expires_in_ms,
            well_known: None,
        }
    }
}

/// `GET /login`.
pub(crate) async fn flows(call: Call) -> Outcome {
    let settings = call.state.user_settings.load();
    let mut flows = Vec::new();
    if settings.passwords.enabled {
        flows.push(json!({ "type": "m.login.password" }));
    }
    if settings.sessions.login_token_lifetime_ms.is_some() {
        flows.push(json!({ "type": "m.login.token", "get_login_token": true }));
    }
    reply::json(&json!({ "flows": flows }))
}

/// `POST /login`.
pub(crate) async fn login(call: Call) -> Outcome {
    let request: Login = call.json()?;
    let session = NewSession {
        device_id: request.device_id.clone(),
        initial_device_display_name: request.initial_device_display_name.clone(),
        refresh_token: request.refresh_token,
        seen: call.seen(),
    };
    let opened = match request.kind.as_str() {
        "m.login.password" => by_password(&call, request, session).await?,
        "m.login.token" => by_token(&call, request, session).await?,
        kind => return Err(UNKNOWN.with(format!("Log-in by {kind} is not supported"))),
    };
    let mut answer = SessionReply::of(&opened);
    let settings = call.state.settings.load();
    let base_url = settings.public_base_url.as_deref();
    answer.well_known = base_url.map(|url| json!({ "m.homeserver": { "base_url": url } }));
    reply::json(&answer)
}

async fn by_password(
    call: &Call,
    request: Login,
    session: NewSession,
) -> Result<LoggedIn, ApiError> {
    let user = match request.identifier {
        Some(Identifier { kind, user }) if kind == "m.id.user" => user,
        // Nobody has any of these here, so this is as wrong as a name that nobody has.
        Some(Identifier { kind, .. }) if OTHER_IDENTIFIERS.contains(&kind.as_str()) => {
            return Err(FORBIDDEN.with(format!("Log-in with {kind} is not supported")));
        }
        Some(Identifier { kind, .. }) => {
            return Err(UNKNOWN.with(format!("Unknown type of identifier: {kind}")));
        }
        None => request.user,
    };
    let user = user.ok_or_else(|| MISSING_PARAM.with("missing parameter identifier.user"))?;
    let password =
        request.password.ok_or_else(|| MISSING_PARAM.with("missing parameter password"))?;
    let limiter = call.state.limiter();
    let account = account_of(&user);
    // Only failures count, so that nobody is locked out by her own devices.
    let attempt = limiter.attempt(Kind::LoginAccount, account).await.map_err(ApiError::too_many)?;
    let outcome = call.state.sessions.login(PasswordLogin { user, password }, session).await;
    if let Err(user::Error::BadCredentials(_)) = outcome {
        attempt.fail();
    }
    Ok(outcome?)
}

/// Whom the failed log-ins of a name are counted for, however the name is written.
pub(crate) fn account_of(user: &str) -> Subject {
    let user = user.trim_start_matches('@');
    let localpart = user.split_once(':').map_or(user, |(localpart, _)| localpart);
    Subject::Account(localpart.to_lowercase().chars().take(255).collect())
}

async fn by_token(call: &Call, request: Login, session: NewSession) -> Result<LoggedIn, ApiError> {
    let token = request.token.ok_or_else(|| MISSING_PARAM.with("missing parameter token"))?;
    Ok(call.state.sessions.login_with_token(&token, session).await?)
}

/// The answer of `/login/get_token`.
#[derive(Serialize)]
struct LoginTokenReply {
    login_token: String,
    expires_in_ms: u64,
}

/// `POST /login/get_token`.
pub(crate) async fn get_token(call: Call) -> Outcome {
    if call.state.user_settings.load().sessions.login_token_lifetime_ms.is_none() {
        return Err(UNKNOWN_PATH.with("Login tokens are disabled on this server"));
    }
    // Each further client needs the user's consent, by the specification.
    uia::authorize_once(&call).await?;
    let issued = call.state.sessions.issue_login_token(call.requester()?)?;
    reply::json(&LoginTokenReply { login_token: issued.token, expires_in_ms: issued.expires_in_ms })
}

/// `POST /refresh`.
#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

/// The answer of `/refresh`.
#[derive(Serialize)]
struct Refreshed {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

/// `POST /refresh`.
pub(crate) async fn refresh(call: Call) -> Outcome {
    let request: Refresh = call.json()?;
    if request.refresh_token.is_empty() {
        return Err(INVALID_PARAM.with("the refresh token is empty"));
    }
    let tokens = call.state.sessions.refresh(&request.refresh_token).await?;
    reply::json(&Refreshed {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires_in_ms: tokens.expires_in_ms,
    })
}

/// `POST /logout`.
pub(crate) async fn logout(call: Call) -> Outcome {
    call.state.sessions.logout(call.requester()?).await?;
    reply::empty()
}

/// `POST /logout/all`.
pub(crate) async fn logout_all(call: Call) -> Outcome {
    call.state.sessions.logout_all(call.requester()?).await?;
    reply::empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_counted_once_however_it_is_written() {
        let bob = account_of("bob");
        assert_eq!(account_of("@bob:example.org"), bob);
        assert_eq!(account_of("BOB"), bob);
        assert_ne!(account_of("bobby"), bob);
    }
}
