//! User-interactive authentication around a handler. Here proofs are counted, each of which may be
//! a guess; asking for the flows costs nothing.
//!
//! Spec: client-server API, "User-Interactive Authentication API".

use ruma::api::client::uiaa::AuthType;
use serde_json::{Map, Value};
use user::uia::{Authorized, Operation, UiaError};

use crate::{error::ApiError, extract::Call, rate::Kind};

/// Asks the logged-in user to prove who she is; comes back with the request's body once she has.
pub(crate) async fn authorize(call: &Call) -> Result<Map<String, Value>, ApiError> {
    Ok(prove(call).await?.body)
}

/// The same for what has to be proved each time anew.
pub(crate) async fn authorize_once(call: &Call) -> Result<(), ApiError> {
    let authorized = prove(call).await?;
    call.state.uia.end(&authorized);
    Ok(())
}

async fn prove(call: &Call) -> Result<Authorized, ApiError> {
    let body = call.object()?;
    if is_proof(&body) {
        call.count(Kind::LoginAccount)?;
    }
    Ok(step(call, &body, call.state.uia.account_flows()).await?)
}

/// Asks whoever registers for what the flows want. Only wrong proofs are counted here, the right
/// ones with the registration.
pub(crate) async fn authorize_registration(call: &Call) -> Result<Authorized, ApiError> {
    let body = call.object()?;
    let attempt = if is_proof(&body) { call.attempt(Kind::Registration).await? } else { None };
    let outcome = step(call, &body, call.state.uia.registration_flows()).await;
    if let Err(UiaError::Challenge(info)) = &outcome
        && info.auth_error.is_some()
        && let Some(attempt) = attempt
    {
        attempt.fail();
    }
    Ok(outcome?)
}

fn is_proof(body: &Map<String, Value>) -> bool {
    body.get("auth").is_some_and(Value::is_object)
}

/// Takes one step of one of the flows.
async fn step(
    call: &Call,
    body: &Map<String, Value>,
    flows: Vec<Vec<AuthType>>,
) -> Result<Authorized, UiaError> {
    let operation = Operation {
        method: call.parts.method.as_str(),
        path: call.parts.uri.path(),
        body,
        requester: call.requester.as_ref(),
    };
    call.state.uia.authorize(operation, flows).await
}
