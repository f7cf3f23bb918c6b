//! The metrics: what the parts count, as Prometheus reads it. Nothing is pushed anywhere, and there
//! is no registry: each part keeps plain numbers of its own, and this asks all of them when
//! somebody scrapes. A number costs an addition where it is counted; there is no global recorder.
//!
//! Invariant: no label says anything about a user, a room or another server; the number of series
//! is bounded by the table of routes, the listeners and the configuration.

mod families;
mod process;
mod text;

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use client_api::State;
use http::{Tls, Traffic};
use proto::{clock::Clock, meter::Counter};
use store::Store;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::system::SystemClock;

/// How long the size of the database counts: to find it out can be work.
const SIZE_KEPT: Duration = Duration::from_mins(1);
/// How long the database may take to say its size; it is left out otherwise.
const SIZE_TIMEOUT: Duration = Duration::from_secs(2);
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How reloads went.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    applied: Counter,
    refused: Counter,
    /// Whether the configuration on the disk was not the one in force at the last reload.
    failing: AtomicBool,
}

impl Reloads {
    /// One is over.
    pub(crate) fn note(&self, applied: bool) {
        if applied {
            self.applied.increment();
        } else {
            self.refused.increment();
        }
        self.failing.store(!applied, Relaxed);
    }
}

/// What the numbers are asked of.
pub(crate) struct Sources {
    /// Requests, rooms, sync, sessions.
    pub(crate) state: State,
    /// The database.
    pub(crate) store: Store,
    /// The listeners.
    pub(crate) traffic: Traffic,
    /// The certificates in use.
    pub(crate) certificates: Vec<Arc<Tls>>,
    /// The reloads.
    pub(crate) reloads: Arc<Reloads>,
    /// The name of the database's engine.
    pub(crate) engine: &'static str,
}

/// Shows all numbers. Clones share what is kept.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Sources,
    started_ms: u64,
    size: Mutex<Option<(Instant, Option<u64>)>>,
}

impl Metrics {
    /// Of a server that starts now.
    pub(crate) fn new(sources: Sources) -> Self {
        let started_ms = SystemClock.now_ms();
        Self { inner: Arc::new(Inner { sources, started_ms, size: Mutex::default() }) }
    }

    /// The route `/metrics`, on its own.
    pub(crate) fn router(&self) -> Router {
        let metrics = self.clone();
        Router::new().route("/metrics", get(async move || metrics.answer().await))
    }

    async fn answer(&self) -> Response {
        let text = self.inner.text().await;
        ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-store")], text).into_response()
    }
}

impl Inner {
    /// The size of the database, if it says it in time.
    async fn size(&self) -> Option<u64> {
        let mut kept = self.size.lock().await;
        if let Some((at, size)) = *kept
            && at.elapsed() < SIZE_KEPT
        {
            return size;
        }
        let asked = timeout(SIZE_TIMEOUT, self.sources.store.size_bytes()).await;
        let size = asked.ok().and_then(Result::ok);
        *kept = Some((Instant::now(), size));
        size
    }
}
