//! User-interactive authentication: sessions bound to the operation that they authorise, bounded and expiring.

use ruma::api::client::uiaa::{AuthType, UiaaInfo};
use serde_json::{Map, Value};

use crate::{Error, Requester};

/// Sessions of user-interactive authentication.
#[derive(Clone)]
pub struct Uia {}

/// The operation to be authorised.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's path, as sent.
    pub path: &'a str,
    /// The whole request body, with `auth`.
    pub body: &'a Map<String, Value>,
    /// Who asks; none when registering.
    pub requester: Option<&'a Requester>,
}

/// An authorised operation.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// The request body without `auth`: that of the first request when the last one carried only `auth`.
    pub body: Map<String, Value>,
    /// The registration token that was shown, to be used up by the registration.
    pub registration_token: Option<String>,
}

/// Why an operation is not authorised (yet).
#[derive(Debug)]
pub enum UiaError {
    /// Answered with status 401 and this body.
    Challenge(Box<UiaaInfo>),
    /// Another error.
    Other(Error),
}

impl Uia {
    /// Flows for endpoints of a logged-in user: the password.
    pub fn account_flows(&self) -> Vec<Vec<AuthType>> {
        vec![vec![AuthType::Password]]
    }

    /// Flows for registration, from the settings: a token where one is required, else the dummy stage.
    pub fn registration_flows(&self) -> Vec<Vec<AuthType>> {
        todo!()
    }

    /// Takes one step: opens a session, checks the stage in `auth`, and says whether a flow is complete.
    pub async fn authorize(
        &self,
        operation: Operation<'_>,
        flows: Vec<Vec<AuthType>>,
    ) -> Result<Authorized, UiaError> {
        let _ = (operation, flows);
        todo!()
    }
}
