//! `reload`: reloads, and tells what came of it.
//!
//! systemd runs `ExecReload=` after it has sent its signal, since version 259 before it. Only a
//! reload that begins with the question is surely of what the administrator has written; the one
//! by the signal then finds nothing that differs.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use tokio::{sync::oneshot, time::timeout};

use super::{Admin, Refusal, protocol::RELOAD, reply};

/// How long a reload may take before whoever asks is told that it is not over. The units give a
/// reload more than this.
const VERDICT_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) fn routes() -> Router<Admin> {
    Router::new().route(RELOAD, post(tell))
}

async fn tell(State(admin): State<Admin>) -> Result<Response, Refusal> {
    let unavailable = |reason| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason);
    let told = async {
        let (asker, verdict) = oneshot::channel();
        admin.ask.send(asker).await.ok()?;
        verdict.await.ok()
    };
    match timeout(VERDICT_TIMEOUT, told).await {
        Ok(Some(verdict)) => Ok(reply(StatusCode::OK, &verdict)),
        Ok(None) => Err(unavailable("the server stops")),
        Err(_) => Err(unavailable("the reload is not over yet")),
    }
}
