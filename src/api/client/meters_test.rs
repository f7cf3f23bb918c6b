//! Tests of the counting that need no server behind it.

use std::collections::BTreeSet;

use super::*;

fn ends(stats: &RequestStats, route: &str) -> Vec<(&'static str, u64)> {
    let found = stats.routes.iter().find(|row| row.route == route);
    let row = found.unwrap_or_else(|| panic!("no {route} in {stats:?}"));
    row.ends.iter().copied().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn every_route_has_a_place_of_its_own_with_a_template() {
    let meters = Meters::new();
    let mut seen = BTreeSet::new();
    for row in &meters.routes {
        assert!(["GET", "PUT", "POST", "DELETE"].contains(&row.method), "{}", row.route);
        assert!(row.route.starts_with('/'), "{}", row.route);
        assert!(seen.insert((row.method, row.route.clone())), "{} stands twice", row.route);
    }
    assert!(seen.contains(&("PUT", SEND.to_owned())));
    assert!(meters.read(Vec::new()).routes.is_empty());
}

const SEND: &str = "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}";

#[test]
fn each_request_comes_to_one_end() {
    let meters = Meters::new();
    let sends = routes().iter().position(|route| route.paths().any(|path| path == SEND)).unwrap();
    for status in [200, 201, 302, 400, 429, 500, 101] {
        let measured = meters.begin(sends);
        assert_eq!(meters.in_flight.get(), 1);
        measured.answered(StatusCode::from_u16(status).unwrap());
    }
    drop(meters.begin(sends));
    meters.begin_unknown(&Method::OPTIONS).answered(StatusCode::NO_CONTENT);
    meters.begin_unknown(&Method::PATCH).answered(StatusCode::METHOD_NOT_ALLOWED);
    let stats = meters.read(vec![("message", 1)]);
    let sent = [("1xx", 1), ("2xx", 2), ("3xx", 1), ("4xx", 2), ("5xx", 1), ("abandoned", 1)];
    assert_eq!(ends(&stats, SEND), sent);
    assert_eq!(ends(&stats, "preflight"), [("2xx", 1)]);
    assert_eq!(ends(&stats, "unknown"), [("4xx", 1)]);
    assert_eq!((stats.routes.len(), stats.in_flight), (3, 0));
    // Of a request that nobody waited for no time is known.
    assert_eq!(stats.routes[0].times.count, 7);
    assert_eq!(stats.limited, [("message", 1)]);
}
