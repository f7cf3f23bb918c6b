//! Replies: JSON with the headers that every answer has.
//!
//! Spec: client-server API, "Web Browser Clients".

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use ruma::api::{OutgoingResponse, OutgoingResponseExt};
use serde::Serialize;

use crate::error::{Answer, ApiError};

/// What a handler comes to.
pub(crate) type Outcome = Result<Response, ApiError>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the specification recommends for browsers.
const CORS: [(HeaderName, HeaderValue); 3] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With, Content-Type, Authorization, Date"),
    ),
];

/// How long a browser may rely on the answer to its `OPTIONS`: a day.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
/// Scripts see no other headers of an answer than the simple ones and these.
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After");

/// Lets pages of any origin use an answer.
pub(crate) fn allow_origins(headers: &mut HeaderMap) {
    for (name, value) in CORS {
        headers.insert(name, value);
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// The answer to every `OPTIONS`.
pub(crate) fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    allow_origins(response.headers_mut());
    response.headers_mut().insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// JSON that is there already.
fn bytes(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The answer that tells an error.
pub(crate) fn error(error: ApiError) -> Response {
    let Answer { status, body, retry_after_s } = error.into_answer();
    let mut response = bytes(status, body);
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A success with JSON that is there already. It cannot fail, but it is what handlers end with.
#[expect(clippy::unnecessary_wraps, reason = "handlers end with an outcome")]
pub(crate) fn raw(body: impl Into<Bytes>) -> Outcome {
    Ok(bytes(StatusCode::OK, body.into()))
}

/// A success that has nothing to tell.
pub(crate) fn empty() -> Outcome {
    raw("{}")
}

/// A success with a value that becomes JSON.
pub(crate) fn json(value: &impl Serialize) -> Outcome {
    let body = serde_json::to_vec(value).map_err(ApiError::internal)?;
    raw(body)
}

/// A success with one of ruma's small responses.
pub(crate) fn ruma(response: impl OutgoingResponse) -> Outcome {
    let response = response.try_into_http_response::<Vec<u8>>().map_err(ApiError::internal)?;
    raw(response.into_body())
}
