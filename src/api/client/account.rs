//! One's own account: who am I, password, deactivation.
//!
//! Spec: client-server API, "Account management", "Adding account administrative contact
//! information".

use ruma::{DeviceId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, FORBIDDEN},
    extract::{Call, from_object},
    reply::{self, Outcome},
    uia,
};

/// The answer of `/account/whoami`.
#[derive(Serialize)]
struct Whoami<'a> {
    user_id: &'a UserId,
    device_id: &'a DeviceId,
    is_guest: bool,
}

/// `GET /account/whoami`.
pub(crate) async fn whoami(call: Call) -> Outcome {
    let requester = call.requester()?;
    reply::json(&Whoami {
        user_id: requester.user_id(),
        device_id: requester.device_id(),
        is_guest: requester.is_guest(),
    })
}

/// `POST /account/password`, without `auth`.
#[derive(Deserialize)]
struct ChangePassword {
    new_password: String,
    #[serde(default = "yes")]
    logout_devices: bool,
}

fn yes() -> bool {
    true
}

/// `POST /account/password`.
pub(crate) async fn change_password(call: Call) -> Outcome {
    check_passwords_enabled(&call)?;
    let body = uia::authorize(&call).await?;
    let request: ChangePassword = from_object(body)?;
    let requester = call.requester()?;
    let (user_id, keep) = (requester.user_id(), requester.device_id());
    call.state
        .accounts
        .change_password(user_id, request.new_password, request.logout_devices, Some(keep))
        .await?;
    reply::empty()
}

fn check_passwords_enabled(call: &Call) -> Result<(), ApiError> {
    if call.state.user_settings.load().passwords.enabled {
        return Ok(());
    }
    Err(FORBIDDEN.with("Passwords are disabled on this server"))
}

/// `POST /account/deactivate`, without `auth`.
#[derive(Deserialize)]
struct Deactivate {
    #[serde(default)]
    erase: bool,
}

/// The answer of `/account/deactivate`.
#[derive(Serialize)]
struct Deactivated {
    id_server_unbind_result: &'static str,
}

/// `POST /account/deactivate`.
pub(crate) async fn deactivate(call: Call) -> Outcome {
    let body = uia::authorize(&call).await?;
    let request: Deactivate = from_object(body)?;
    call.state.accounts.deactivate(call.user_id()?, request.erase).await?;
    // The server knows no third-party identifiers, and where there is nothing to unbind it must say
    // that this has succeeded.
    reply::json(&Deactivated { id_server_unbind_result: "success" })
}

/// The answer of `/account/3pid`.
#[derive(Serialize)]
struct ThirdPartyIds {
    threepids: [(); 0],
}

/// `GET /account/3pid`: there is no way to add any, so nobody has one.
pub(crate) async fn third_party_ids(_call: Call) -> Outcome {
    reply::json(&ThirdPartyIds { threepids: [] })
}
