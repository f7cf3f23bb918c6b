//! One request on its way to its handler: who asks, and the typed values that path, query and body
//! hold.
//!
//! Invariant: nothing here panics whatever a client sends. Bodies are objects; an empty one means
//! `{}`, as clients that have nothing to say send none.
//!
//! Spec: client-server API, "API Standards".

use std::{net::IpAddr, str::FromStr};

use axum::{
    extract::RawPathParams,
    http::{self, request::Parts},
};
use bytes::Bytes;
use ruma::{
    OwnedUserId, UserId,
    api::{IncomingRequest, error::DeserializationError},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};
use smallvec::SmallVec;
use user::{Requester, Seen};

use crate::{
    State,
    attempt::Attempt,
    error::{ApiError, BAD_JSON, FORBIDDEN, INVALID_PARAM, MISSING_PARAM, NOT_JSON},
    rate::{Kind, Subject},
};

/// A request, authenticated and read.
pub(crate) struct Call {
    pub(crate) state: State,
    pub(crate) parts: Parts,
    pub(crate) arguments: RawPathParams,
    pub(crate) body: Bytes,
    pub(crate) requester: Option<Requester>,
    pub(crate) address: Option<IpAddr>,
}

impl Call {
    /// Who asks. Only routes that need no token may be called by nobody.
    pub(crate) fn requester(&self) -> Result<&Requester, ApiError> {
        self.requester.as_ref().ok_or_else(|| ApiError::internal("a route lacks authentication"))
    }

    /// The user who asks.
    pub(crate) fn user_id(&self) -> Result<&UserId, ApiError> {
        Ok(self.requester()?.user_id())
    }

    /// Where the request came from.
    pub(crate) fn seen(&self) -> Seen {
        seen(&self.parts, self.address)
    }

    /// Takes one from a bucket of the requester, or of the address where nobody is logged in.
    pub(crate) fn count(&self, kind: Kind) -> Result<(), ApiError> {
        let Some(subject) = self.subject() else { return Ok(()) };
        self.state.limiter().take(kind, subject).map_err(ApiError::too_many)
    }

    /// Begins what costs one of that bucket if it fails, once the attempts before it are over.
    pub(crate) async fn attempt(&self, kind: Kind) -> Result<Option<Attempt<'_>>, ApiError> {
        let Some(subject) = self.subject() else { return Ok(None) };
        let attempt = self.state.limiter().attempt(kind, subject).await;
        attempt.map(Some).map_err(ApiError::too_many)
    }

    /// Who is counted. Where a proxy on a unix socket does not say for whom it asks, there is
    /// nobody.
    fn subject(&self) -> Option<Subject> {
        match (&self.requester, self.address) {
            (Some(requester), _) => Some(Subject::User(requester.user())),
            (None, address) => address.map(Subject::address),
        }
    }

    /// A parameter of the path as its text, decoded.
    pub(crate) fn text(&self, name: &str) -> Result<&str, ApiError> {
        self.find_text(name)
            .ok_or_else(|| ApiError::internal(format!("the route has no parameter {name}")))
    }

    /// A parameter that not every path of the route has.
    pub(crate) fn find_text(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A parameter of the path as an identifier.
    pub(crate) fn id<T>(&self, name: &str) -> Result<T, ApiError>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.text(name)?
            .parse()
            .map_err(|error| INVALID_PARAM.with(format!("{name} is not valid: {error}")))
    }

    /// The user in the path, who must be the one who asks.
    pub(crate) fn own_user_id(&self) -> Result<OwnedUserId, ApiError> {
        let user_id = self.id::<OwnedUserId>("userId")?;
        if user_id != self.user_id()? {
            return Err(FORBIDDEN.with("This belongs to another user"));
        }
        Ok(user_id)
    }

    /// The query as a value.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let query = self.parts.uri.query().unwrap_or_default();
        serde_html_form::from_str(query).map_err(|error| bad_parameter(&error))
    }

    /// The body that a browser sends for a form as a value.
    pub(crate) fn form<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_html_form::from_bytes(&self.body).map_err(|error| bad_parameter(&error))
    }

    /// The body as a value.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body = object(&self.body)?;
        serde_json::from_slice(body).map_err(|error| bad_json(&error))
    }

    /// The body as an object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        self.json()
    }

    /// The body as it came, which must be an object: the content of an event, of account data.
    pub(crate) fn content(&self) -> Result<Box<RawValue>, ApiError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(NOT_JSON.with("The body is empty"));
        }
        object(&self.body)?;
        serde_json::from_slice(&self.body).map_err(|error| bad_json(&error))
    }

    /// The whole request as one of ruma's types.
    pub(crate) fn ruma<R: IncomingRequest>(&self) -> Result<R, ApiError> {
        let arguments: SmallVec<[&str; 4]> =
            self.arguments.iter().map(|(_, value)| value).collect();
        let body = object(&self.body)?;
        let mut request = http::Request::new(body);
        *request.uri_mut() = self.parts.uri.clone();
        R::try_from_http_request_inner(request, &arguments).map_err(bad_request)
    }
}

/// Where a request came from.
pub(crate) fn seen(parts: &Parts, address: Option<IpAddr>) -> Seen {
    let user_agent = parts.headers.get(http::header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Seen { address, user_agent }
}

/// Checks that a body is an object as far as its first character shows: serde would take a list for
/// a struct, too.
fn object(body: &[u8]) -> Result<&[u8], ApiError> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(b"{}"),
        Some(b'{') => Ok(body),
        Some(_) => Err(match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
            Ok(_) => BAD_JSON.with("The body must be a JSON object"),
            Err(error) => NOT_JSON.with(format!("The body is not JSON: {error}")),
        }),
    }
}

/// A value out of a JSON object that is there already.
pub(crate) fn from_object<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, ApiError> {
    T::deserialize(Value::Object(object)).map_err(|error| bad_json(&error))
}

fn bad_request(error: DeserializationError) -> ApiError {
    match error {
        DeserializationError::Json(error) => bad_json(&error),
        DeserializationError::Query(error) => bad_parameter(&error),
        error => INVALID_PARAM.with(error.to_string()),
    }
}

fn bad_json(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    // The reader of JSON does not tell in any other way what is missing.
    if text.starts_with("missing field") {
        MISSING_PARAM.with(text)
    } else if error.is_data() {
        BAD_JSON.with(text)
    } else {
        NOT_JSON.with(format!("The body is not JSON: {text}"))
    }
}

fn bad_parameter(error: &impl std::fmt::Display) -> ApiError {
    let text = error.to_string();
    if text.starts_with("missing field") {
        MISSING_PARAM.with(text)
    } else {
        INVALID_PARAM.with(text)
    }
}

#[cfg(test)]
#[path = "extract_test.rs"]
mod tests;
