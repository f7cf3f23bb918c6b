//! Whether the server can do its work: whether the store's writer answers.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::get,
};
use store::{Error, Store};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long the writer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer counts, so that questions cost nothing.
const KEPT: Duration = Duration::from_secs(1);

/// What the last look found, and when.
type Last = Option<(Instant, bool)>;

/// Looks after the store. Clones share what they found.
#[derive(Clone)]
pub(crate) struct Health {
    store: Store,
    last: Arc<Mutex<Last>>,
}

impl Health {
    /// Of this store.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, last: Arc::default() }
    }

    /// The route `/health`, on its own.
    pub(crate) fn router(&self) -> Router {
        let health = self.clone();
        Router::new().route("/health", get(move || async move { health.answer().await }))
    }

    async fn answer(&self) -> Response {
        let (status, text) = if self.is_well().await {
            (StatusCode::OK, "OK")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        };
        (status, [(CACHE_CONTROL, HeaderValue::from_static("no-store"))], text).into_response()
    }

    async fn is_well(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, well)) = *last
            && at.elapsed() < KEPT
        {
            return well;
        }
        let well = matches!(timeout(TIMEOUT, self.ask_writer()).await, Ok(Ok(())));
        *last = Some((Instant::now(), well));
        well
    }

    /// Goes the way of every change, with one that changes nothing.
    async fn ask_writer(&self) -> Result<(), Error> {
        self.store.write(|_| Ok(())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_is_closed_is_not_well() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", directory.path().display());
        let store = Store::open(store::Settings::new(url)).await.unwrap();
        let health = Health::new(store.clone());
        assert_eq!(health.answer().await.status(), StatusCode::OK);
        store.close().await;
        tokio::time::sleep(KEPT).await;
        assert_eq!(health.answer().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
