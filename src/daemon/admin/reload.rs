//! `reload`: reloads, and tells what came of it. The reload begins with the question, so that it is
//! surely of what the administrator has written.

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::post};
use tokio::{sync::oneshot, time::timeout};

use super::{Admin, Refusal, protocol::RELOAD, reply};
use crate::verdict::VERDICT_TIMEOUT;

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
