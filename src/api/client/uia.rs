//! User-interactive authentication around a handler.
//!
//! Spec: client-server API, "User-Interactive Authentication API".

use ruma::api::client::uiaa::AuthType;
use serde_json::{Map, Value};
use user::uia::{Authorized, Operation};

use crate::{error::ApiError, extract::Call};

/// Asks the logged-in user to prove who she is; comes back with the request's body once she has.
pub(crate) async fn authorize(call: &Call) -> Result<Map<String, Value>, ApiError> {
    let flows = call.state.uia.account_flows();
    Ok(step(call, flows).await?.body)
}

/// Takes one step of one of the flows.
pub(crate) async fn step(call: &Call, flows: Vec<Vec<AuthType>>) -> Result<Authorized, ApiError> {
    let body = call.object()?;
    let operation = Operation {
        method: call.parts.method.as_str(),
        path: call.parts.uri.path(),
        body: &body,
        requester: call.requester.as_ref(),
    };
    Ok(call.state.uia.authorize(operation, flows).await?)
}
