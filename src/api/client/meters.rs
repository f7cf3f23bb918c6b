//! What is counted of requests: in one place, the router, by route and not by path, so that no
//! series is ever made by what a client writes.
//!
//! Invariant: everything that is counted has its place before the first request; counting takes no
//! lock and no memory.

use std::sync::Arc;

use axum::{
    http::{Method, StatusCode},
    routing::MethodFilter,
};
use proto::meter::{Counter, Gauge, Histogram, Present, RESPONSE_TIMES_US, Times};
use tokio::time::Instant;

use crate::routes::routes;

/// What requests come to: the class of the status, or that nobody waited for it.
const ENDS: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", ABANDONED];
const ABANDONED: &str = "abandoned";
/// Where [`ABANDONED`] stands in [`ENDS`].
const LAST: usize = ENDS.len() - 1;

/// What questions of browsers are counted as.
const PREFLIGHT: (&str, &str) = ("OPTIONS", "preflight");
/// What requests are counted as that are for no route.
const UNKNOWN: (&str, &str) = ("other", "unknown");

/// The requests of one route until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStats {
    /// The method.
    pub method: &'static str,
    /// The newest path of the route, with the names of its parameters.
    pub route: String,
    /// How many came to which end.
    pub ends: Vec<(&'static str, u64)>,
    /// How long it took until the answer began.
    pub times: Times,
}

/// All requests until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestStats {
    /// By route; those that nobody asked for are left out.
    pub routes: Vec<RouteStats>,
    /// How many are being worked on.
    pub in_flight: u64,
    /// How many came too often, by the limit's name in the configuration.
    pub limited: Vec<(&'static str, u64)>,
}

/// The requests of one route.
struct Row {
    method: &'static str,
    route: String,
    ends: [Counter; ENDS.len()],
    times: Histogram,
}

impl Row {
    fn new(method: &'static str, route: impl Into<String>) -> Self {
        let times = Histogram::new(RESPONSE_TIMES_US);
        Self { method, route: route.into(), ends: Default::default(), times }
    }

    fn stats(&self) -> RouteStats {
        RouteStats {
            method: self.method,
            route: self.route.clone(),
            ends: ENDS.into_iter().zip(self.ends.iter().map(Counter::get)).collect(),
            times: self.times.read(),
        }
    }
}

/// Everything that is counted of requests.
pub(crate) struct Meters {
    /// By the number of the route in the table.
    routes: Vec<Row>,
    preflight: Row,
    unknown: Row,
    in_flight: Gauge,
}

impl Meters {
    /// With a place for every route.
    pub(crate) fn new() -> Arc<Self> {
        let row = |(method, route): (&'static str, &str)| Row::new(method, route);
        let routes = routes().into_iter().map(|route| {
            let path = route.paths().next().unwrap_or_default();
            Row::new(method(route.filter), path)
        });
        let (preflight, unknown) = (row(PREFLIGHT), row(UNKNOWN));
        Arc::new(Self { routes: routes.collect(), preflight, unknown, in_flight: Gauge::default() })
    }

    /// A request for the route with this number begins.
    pub(crate) fn begin(&self, route: usize) -> Measured<'_> {
        self.measure(&self.routes[route])
    }

    /// A request that is for no route begins.
    pub(crate) fn begin_unknown(&self, method: &Method) -> Measured<'_> {
        let preflight = method == Method::OPTIONS;
        self.measure(if preflight { &self.preflight } else { &self.unknown })
    }

    fn measure<'m>(&'m self, row: &'m Row) -> Measured<'m> {
        let (begun, present) = (Instant::now(), self.in_flight.enter());
        Measured { row, begun, end: LAST, _present: present }
    }

    /// What was counted until now, with what the limits have refused.
    pub(crate) fn read(&self, limited: Vec<(&'static str, u64)>) -> RequestStats {
        let rows = self.routes.iter().chain([&self.preflight, &self.unknown]);
        let asked = |row: &&Row| row.ends.iter().any(|end| end.get() > 0);
        RequestStats {
            routes: rows.filter(asked).map(Row::stats).collect(),
            in_flight: self.in_flight.get(),
            limited,
        }
    }
}

/// A request while it is being worked on. Dropped without an answer it counts as abandoned.
pub(crate) struct Measured<'m> {
    row: &'m Row,
    begun: Instant,
    end: usize,
    _present: Present<'m>,
}

impl Measured<'_> {
    /// It is answered.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.row.times.observe(self.begun.elapsed());
        self.end = usize::from(status.as_u16() / 100).clamp(1, LAST) - 1;
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        self.row.ends[self.end].increment();
    }
}

/// The name of a route's method.
pub(crate) fn method(filter: MethodFilter) -> &'static str {
    let named = [
        (MethodFilter::GET, "GET"),
        (MethodFilter::PUT, "PUT"),
        (MethodFilter::POST, "POST"),
        (MethodFilter::DELETE, "DELETE"),
    ];
    named.into_iter().find(|(one, _)| *one == filter).map_or(UNKNOWN.0, |(_, name)| name)
}

#[cfg(test)]
#[path = "meters_test.rs"]
mod tests;
