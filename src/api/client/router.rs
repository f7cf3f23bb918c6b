//! The router that is built from the table of routes, and the way of each request through it:
//! token, rate limit, body, handler, answer.
//!
//! Invariant: every answer is JSON with the headers for browsers, whatever went wrong; a panic in a
//! handler is logged and answered as an internal error, and ends nothing but its request.

use std::{collections::BTreeMap, convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    extract::{FromRequestParts, RawPathParams, Request},
    http::{Method, request::Parts},
    response::Response,
    routing::MethodRouter,
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{BodyError, BodyLimit, Connection, client_address};
use ruma::api::auth_scheme::{AccessTokenOptional, AuthScheme};
use tower::Service;
use user::Requester;

use crate::{
    State,
    error::{
        ApiError, GUEST, INVALID_PARAM, MISSING_TOKEN, NOT_JSON, TIMED_OUT, TOO_LARGE,
        UNKNOWN_METHOD, UNKNOWN_PATH,
    },
    extract::{Call, seen},
    listening::Listening,
    reply::{self, Outcome},
    routes::{Access, Route, routes},
};

/// The router of one listener. It answers every request: what no route is for is `M_UNRECOGNIZED`.
///
/// Other routes can be merged into it, as long as theirs has no fallback of its own.
pub fn router(state: &State, listening: Listening) -> Router {
    let mut paths: BTreeMap<String, MethodRouter> = BTreeMap::new();
    for route in routes().into_iter().filter(|route| route.surface.is_served(listening)) {
        let route = Arc::new(route);
        for path in route.paths() {
            let endpoint = endpoint(Arc::clone(&route), state.clone(), listening.x_forwarded);
            let methods = paths.remove(&path).unwrap_or_default();
            paths.insert(path, methods.on_service(route.filter, endpoint));
        }
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(&path, methods);
    }
    router.fallback(unknown_path).method_not_allowed_fallback(unknown_method)
}

/// One route as the router serves it.
fn endpoint(
    route: Arc<Route>,
    state: State,
    x_forwarded: bool,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request: Request| {
        let (route, state) = (Arc::clone(&route), state.clone());
        async move { Ok(answer(&route, state, request, x_forwarded).await) }
    })
}

async fn unknown_path(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return reply::options();
    }
    finish(Err(UNKNOWN_PATH.with("Unknown endpoint")), request.method(), request.uri().path())
}

async fn unknown_method(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return reply::options();
    }
    let error = UNKNOWN_METHOD.with("The endpoint does not have this method");
    finish(Err(error), request.method(), request.uri().path())
}

/// Answers one request.
async fn answer(route: &Route, state: State, request: Request, x_forwarded: bool) -> Response {
    let method = request.method().clone();
    let outcome =
        match AssertUnwindSafe(run(route, state, request, x_forwarded)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => Err(ApiError::internal(format!("panic: {}", text_of(&*panic)))),
        };
    finish(outcome, &method, route.name())
}

/// What a panic said.
fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("without a text")
}

fn finish(outcome: Outcome, method: &Method, path: &str) -> Response {
    let mut response = match outcome {
        Ok(response) => response,
        Err(error) => {
            if let Some(cause) = error.cause() {
                tracing::error!(%method, path, cause, "a request failed");
            }
            reply::error(error)
        }
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    reply::allow_origins(response.headers_mut());
    response
}

async fn run(route: &Route, state: State, request: Request, x_forwarded: bool) -> Outcome {
    let connection = request.extensions().get::<Connection>().copied();
    let address = connection.and_then(|it| client_address(&it, request.headers(), x_forwarded));
    let token = match route.access {
        Access::Open => None,
        Access::Optional | Access::Guest | Access::User => token(&request)?,
    };
    let (mut parts, body) = request.into_parts();
    let requester = match token {
        Some(token) => {
            let seen = seen(&parts, address);
            Some(state.sessions.authenticate(&token, &seen).await?)
        }
        None => None,
    };
    check_access(route.access, requester.as_ref())?;
    let arguments = arguments(&mut parts).await?;
    let mut call = Call { state, parts, arguments, body: Bytes::new(), requester, address };
    if let Some(kind) = route.limit {
        call.count(kind)?;
    }
    if let Some(max_bytes) = route.body_max {
        let timeout = call.state.settings.load().body_timeout;
        let limit = BodyLimit { max_bytes, timeout };
        call.body = http::collect(body, limit).await.map_err(|error| bad_body(&error))?;
    }
    route.run(call).await
}

/// The access token of a request, from the header or the query.
fn token(request: &Request) -> Result<Option<String>, ApiError> {
    AccessTokenOptional::extract_authentication(request)
        .map_err(|error| MISSING_TOKEN.with(format!("No usable access token: {error}")))
}

fn check_access(access: Access, requester: Option<&Requester>) -> Result<(), ApiError> {
    match (access, requester) {
        (Access::Guest | Access::User, None) => Err(MISSING_TOKEN.with("Missing access token")),
        (Access::User, Some(requester)) if requester.is_guest() => {
            Err(GUEST.with("Guests may not do this"))
        }
        _ => Ok(()),
    }
}

async fn arguments(parts: &mut Parts) -> Result<RawPathParams, ApiError> {
    RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|error| INVALID_PARAM.with(error.body_text()))
}

fn bad_body(error: &BodyError) -> ApiError {
    match error {
        BodyError::TooLarge { .. } => TOO_LARGE.with(error.to_string()),
        BodyError::TimedOut { .. } => TIMED_OUT.with(error.to_string()),
        BodyError::Broken(_) => NOT_JSON.with("The body is incomplete"),
    }
}

#[cfg(test)]
#[path = "router_test.rs"]
mod tests;
