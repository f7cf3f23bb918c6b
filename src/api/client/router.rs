//! The router that is built from the table of routes, and the way of each request through it:
//! token, rate limit, body, handler, answer. Here alone requests are counted.
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
        ApiError, Cause, GUEST, INVALID_PARAM, MISSING_TOKEN, NOT_JSON, TIMED_OUT, TOO_LARGE,
        UNKNOWN_METHOD, UNKNOWN_PATH,
    },
    extract::{Call, seen},
    listening::Listening,
    meters::Meters,
    reply::{self, Outcome},
    routes::{Access, Route, routes},
};

/// The router of one listener. It answers every request: what no route is for is `M_UNRECOGNIZED`.
///
/// Other routes can be merged into it, as long as theirs has no fallback of its own.
pub fn router(state: &State, listening: Listening) -> Router {
    let mut paths: BTreeMap<String, MethodRouter> = BTreeMap::new();
    let served = |(_, route): &(usize, Route)| route.surface.is_served(listening);
    for (number, route) in routes().into_iter().enumerate().filter(served) {
        let served = Arc::new(Served { number, route, x_forwarded: listening.x_forwarded });
        for path in served.route.paths() {
            let endpoint = endpoint(Arc::clone(&served), state.clone());
            let methods = paths.remove(&path).unwrap_or_default();
            paths.insert(path, methods.on_service(served.route.filter, endpoint));
        }
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(&path, methods);
    }
    let (path, method) = (Arc::clone(state.meters()), Arc::clone(state.meters()));
    router
        .fallback(async move |request: Request| unknown_path(&path, &request))
        .method_not_allowed_fallback(async move |request: Request| {
            unknown_method(&method, &request)
        })
}

/// One route as a listener serves it.
struct Served {
    /// Its place in the table.
    number: usize,
    route: Route,
    x_forwarded: bool,
}

/// One route as the router serves it.
fn endpoint(
    served: Arc<Served>,
    state: State,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request: Request| {
        let (served, state) = (Arc::clone(&served), state.clone());
        async move { Ok(answer(&served, state, request).await) }
    })
}

fn unknown_path(meters: &Meters, request: &Request) -> Response {
    without_route(meters, request, UNKNOWN_PATH.with("Unknown endpoint"))
}

fn unknown_method(meters: &Meters, request: &Request) -> Response {
    let error = UNKNOWN_METHOD.with("The endpoint does not have this method");
    without_route(meters, request, error)
}

/// Answers a request that no route is for.
fn without_route(meters: &Meters, request: &Request, error: ApiError) -> Response {
    let measured = meters.begin_unknown(request.method());
    let response = if request.method() == Method::OPTIONS {
        reply::options()
    } else {
        finish(Err(error), request.method(), request.uri().path())
    };
    measured.answered(response.status());
    response
}

/// Answers one request.
async fn answer(served: &Served, state: State, request: Request) -> Response {
    let meters = Arc::clone(state.meters());
    let measured = meters.begin(served.number);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let outcome = match AssertUnwindSafe(run(served, state, request)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(ApiError::internal(format!("panic: {}", text_of(&*panic)))),
    };
    let response = finish(outcome, &method, uri.path());
    measured.answered(response.status());
    response
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
                let Cause { text: cause, is_told } = cause;
                if *is_told {
                    tracing::debug!(%method, path, cause, "a request failed");
                } else {
                    tracing::error!(%method, path, cause, "a request failed");
                }
            }
            reply::error(error)
        }
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    reply::allow_origins(response.headers_mut());
    response
}

async fn run(served: &Served, state: State, request: Request) -> Outcome {
    let Served { route, x_forwarded, .. } = served;
    let connection = request.extensions().get::<Connection>().copied();
    let address = connection.and_then(|it| client_address(&it, request.headers(), *x_forwarded));
    let token = match route.access {
        Access::Open => None,
        Access::Optional | Access::Guest | Access::Expired | Access::User => token(&request)?,
    };
    let (mut parts, body) = request.into_parts();
    let requester = match token {
        Some(token) => {
            let seen = seen(&parts, address);
            Some(match route.access {
                Access::Expired => state.sessions.authenticate_expired(&token, &seen).await?,
                _ => state.sessions.authenticate(&token, &seen).await?,
            })
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
        (Access::Guest | Access::Expired | Access::User, None) => {
            Err(MISSING_TOKEN.with("Missing access token"))
        }
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
