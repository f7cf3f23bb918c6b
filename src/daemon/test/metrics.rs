//! The metrics of the built server: their form, what they count, and the dashboard that shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::{
    exposition::{Exposition, parse},
    machine::{Machine, Server},
};

const DASHBOARD: &str = include_str!("../dashboard.json");
const SEND: &str = "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}";
const LOGIN: &str = "/_matrix/client/v3/login";

/// With metrics beside the client's API, and on a socket alone.
pub(crate) fn machine() -> Machine {
    let machine = Machine::new();
    machine.configure("[rate_limits]\nmessage = { per_second = 0.001, burst = 3 }");
    let fragment = format!(
        "[[listeners]]\nbind = [\"127.0.0.1:{}\"]\nresources = [\"client\", \"metrics\"]\n\
         [[listeners]]\nbind = [\"unix:{}\"]\nresources = [\"metrics\"]\n",
        machine.port,
        machine.text("metrics.sock")
    );
    machine.write("conf.d/listeners.toml", &fragment, 0o644);
    machine
}

fn scrape(machine: &Machine) -> Exposition {
    let (status, text) = machine.try_request("GET /metrics", None).unwrap();
    assert_eq!(status, 200, "{text}");
    parse(&text)
}

/// The head and the body of an answer on the socket for metrics.
fn ask_alone(machine: &Machine, path: &str) -> (String, String) {
    let mut stream = UnixStream::connect(machine.path("metrics.sock")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

/// A user who is logged in.
struct Alice<'m> {
    machine: &'m Machine,
    token: String,
    room: String,
}

impl<'m> Alice<'m> {
    /// Logs in, once with a wrong password, and makes a room.
    fn arrive(machine: &'m Machine) -> Self {
        assert_eq!(machine.log_in("alice", "wrong").0, 403);
        let (status, session) = machine.log_in("alice", "wonderland");
        assert_eq!(status, 200, "{session}");
        let token = session["access_token"].as_str().unwrap().to_owned();
        let mut alice = Self { machine, token, room: String::new() };
        let (status, made) = alice.call("POST", "createRoom", Some(&json!({})));
        assert_eq!(status, 200, "{made}");
        made["room_id"].as_str().unwrap().clone_into(&mut alice.room);
        alice
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let sign = if path.contains('?') { '&' } else { '?' };
        let line = format!("{method} /_matrix/client/v3/{path}{sign}access_token={}", self.token);
        self.machine.request(&line, body)
    }

    fn say(&self, number: usize) -> u16 {
        let body = json!({"msgtype": "m.text", "body": "secret words"});
        let path = format!("rooms/{}/send/m.room.message/{number}", self.room);
        self.call("PUT", &path, Some(&body)).0
    }

    /// How many events the room has whose state they are.
    fn state_events(&self) -> f64 {
        let (status, state) = self.call("GET", &format!("rooms/{}/state", self.room), None);
        assert_eq!(status, 200, "{state}");
        f64::from(u32::try_from(state.as_array().unwrap().len()).unwrap())
    }
}

fn reload(server: &Server<'_>, machine: &Machine, key: &str, log: &str) {
    machine.write("conf.d/more.toml", key, 0o644);
    server.signal(Signal::SIGHUP);
    server.wait_for_log(log);
}

#[test]
fn counters_move_by_exactly_what_was_done() {
    let machine = machine();
    let server = machine.serve();
    let secret = ["register-user", "-u", "alice", "-p", "wonderland", "--no-admin"];
    machine.run_configured(&secret).ok();
    let before = scrape(&machine);
    let alice = Alice::arrive(&machine);
    let sent: Vec<u16> = (0..4).map(|number| alice.say(number)).collect();
    assert_eq!(sent, [200, 200, 200, 429]);
    assert_eq!(machine.request("GET /_matrix/client/v3/rooms/@eve:x/nonsense", None).0, 404);
    assert_eq!(machine.request("OPTIONS /_matrix/client/v3/login", None).0, 204);
    let events = alice.state_events() + 3.0;
    reload(&server, &machine, "[log]\nlevel = \"debug\"\n", "log.level");
    reload(&server, &machine, "nonsense = 1\n", "nonsense");
    let after = scrape(&machine);
    let moved = |name: &str, labels: &[(&str, &str)]| {
        after.value(name, labels) - before.find(name, labels).unwrap_or_default()
    };
    let requests = |method: &str, route: &str, status: &str| {
        let labels = [("method", method), ("route", route), ("status", status)];
        moved("http_requests_total", &labels)
    };
    exactly(requests("PUT", SEND, "2xx"), 3.0);
    exactly(requests("PUT", SEND, "4xx"), 1.0);
    exactly(requests("POST", LOGIN, "2xx"), 1.0);
    exactly(requests("POST", LOGIN, "4xx"), 1.0);
    exactly(requests("other", "unknown", "4xx"), 1.0);
    exactly(requests("OPTIONS", "preflight", "2xx"), 1.0);
    let send = [("method", "PUT"), ("route", SEND)];
    exactly(moved("http_request_duration_seconds_count", &send), 4.0);
    exactly(moved("rate_limited_requests_total", &[("limit", "message")]), 1.0);
    exactly(moved("rate_limited_requests_total", &[("limit", "join")]), 0.0);
    exactly(moved("logins_total", &[("outcome", "done")]), 1.0);
    exactly(moved("logins_total", &[("outcome", "refused")]), 1.0);
    let local = [("origin", "local"), ("outcome", "accepted")];
    exactly(moved("events_total", &local), events);
    exactly(moved("events_total", &[("origin", "remote"), ("outcome", "accepted")]), 0.0);
    exactly(moved("reloads_total", &[("outcome", "applied")]), 1.0);
    exactly(moved("reloads_total", &[("outcome", "refused")]), 1.0);
    exactly(after.value("last_reload_successful", &[]), 0.0);
    // Two log-ins, a room, four messages, two that are for no route, the state, and the scrape.
    let listener = format!("127.0.0.1:{}", machine.port);
    exactly(moved("connections_accepted_total", &[("listener", &listener)]), 11.0);
    assert!(moved("store_changes_total", &[]) >= 4.0);
    assert!(moved("store_commit_duration_seconds_count", &[]) >= 4.0);
    exactly(after.value("cache_entries", &[("cache", "rooms")]), 1.0);
    assert!(after.value("database_size_bytes", &[]) > 4096.0);
    // The sandbox lets the process see itself.
    assert!(after.value("process_resident_memory_bytes", &[]) > 1_000_000.0);
    assert!(after.value("process_open_fds", &[]) > 10.0);
    assert!(moved("process_cpu_seconds_total", &[]) > 0.0);
}

/// Whole numbers are exact.
fn exactly(found: f64, expected: f64) {
    assert!((found - expected).abs() < f64::EPSILON, "{found} instead of {expected}");
}

#[test]
fn who_waits_is_counted_while_she_waits() {
    let machine = machine();
    let _server = machine.serve();
    let secret = ["register-user", "-u", "alice", "-p", "wonderland", "--no-admin"];
    machine.run_configured(&secret).ok();
    let alice = Alice::arrive(&machine);
    let since = machine.sync(&alice.token, None);
    exactly(scrape(&machine).value("sync_waiting_requests", &[]), 0.0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let path = format!("sync?timeout=30000&since={since}");
            alice.call("GET", &path, None).0
        });
        until(&machine, "sync_waiting_requests", &[], 1.0);
        let found = scrape(&machine);
        exactly(found.value("http_requests_in_flight", &[]), 1.0);
        exactly(found.value("sync_followed_users", &[]), 1.0);
        assert_eq!(alice.say(1), 200);
        assert_eq!(waiting.join().unwrap(), 200);
    });
    exactly(scrape(&machine).value("sync_waiting_requests", &[]), 0.0);
}

#[test]
fn the_end_of_a_certificate_is_told() {
    let machine = machine();
    let name = "test.example".to_owned();
    let mut parameters = CertificateParams::new(vec![name]).unwrap();
    parameters.not_after = date_time_ymd(2040, 1, 1);
    let key = KeyPair::generate().unwrap();
    machine.write("c.pem", &parameters.self_signed(&key).unwrap().pem(), 0o644);
    machine.write("k.pem", &key.serialize_pem(), 0o600);
    // The one that is asked comes last, so that everything is served when it answers.
    let fragment = format!(
        "[[listeners]]\nbind = [\"unix:{}\"]\n\
         tls = {{ certificate = \"{}\", private_key = \"{}\" }}\n\
         [[listeners]]\nbind = [\"127.0.0.1:{}\"]\nresources = [\"metrics\"]\n",
        machine.text("tls.sock"),
        machine.text("c.pem"),
        machine.text("k.pem"),
        machine.port,
    );
    machine.write("conf.d/listeners.toml", &fragment, 0o644);
    let _server = machine.serve();
    let file = machine.text("c.pem");
    let labels = [("certificate", file.as_str())];
    exactly(scrape(&machine).value("certificate_expiry_seconds", &labels), 2_208_988_800.0);
    let socket = format!("unix:{}", machine.text("tls.sock"));
    let labels = [("listener", socket.as_str())];
    exactly(scrape(&machine).value("tls_handshakes_failed_total", &labels), 0.0);
    let mut plain = UnixStream::connect(machine.path("tls.sock")).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    until(&machine, "tls_handshakes_failed_total", &labels, 1.0);
    until(&machine, "connections_open", &labels, 0.0);
}

/// Waits for a number.
fn until(machine: &Machine, name: &str, labels: &[(&str, &str)], expected: f64) {
    let start = Instant::now();
    while (scrape(machine).value(name, labels) - expected).abs() > f64::EPSILON {
        assert!(start.elapsed() < Duration::from_secs(20), "{name} is never {expected}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn no_label_says_who_and_where() {
    let machine = machine();
    let _server = machine.serve();
    let secret = ["register-user", "-u", "alice", "-p", "wonderland", "--no-admin"];
    machine.run_configured(&secret).ok();
    let alice = Alice::arrive(&machine);
    assert_eq!(alice.say(1), 200);
    machine.request("GET /_matrix/client/v3/profile/@mallory:elsewhere.example", None);
    machine.request("GET /_matrix/client/v3/mallory", None);
    let (_, text) = machine.try_request("GET /metrics", None).unwrap();
    let room = alice.room.trim_start_matches('!').split(':').next().unwrap();
    for word in ["alice", "mallory", "example", "secret", "@", alice.token.as_str(), room] {
        let line = text.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{word}");
    }
    // A route is known by its template.
    assert!(text.contains("route=\"/_matrix/client/v3/profile/{userId}\""));
}

#[test]
fn a_listener_for_metrics_answers_nothing_else() {
    let machine = machine();
    let _server = machine.serve();
    let (head, body) = ask_alone(&machine, "/metrics");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    parse(&body);
    assert!(ask_alone(&machine, "/health").0.starts_with("http/1.1 200"));
    for path in ["/_matrix/client/versions", "/_synapse/admin/v1/register", "/"] {
        assert!(ask_alone(&machine, path).0.starts_with("http/1.1 404"), "{path}");
    }
    let plain = Machine::new();
    let _server = plain.serve();
    assert_eq!(plain.request("GET /metrics", None).0, 404);
}

/// The names of metrics in an expression, with what histograms add taken away.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter_map(|word| word.strip_prefix("matrix_homeserver_"));
    let family = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let part = parts.iter().find_map(|part| name.strip_suffix(part));
        part.filter(|base| base.ends_with("_seconds")).unwrap_or(name).to_owned()
    };
    metrics.map(family).collect()
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let machine = machine();
    let _server = machine.serve();
    let families: BTreeSet<String> = scrape(&machine).families.into_keys().collect();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    for field in ["title", "uid", "refresh", "timezone"] {
        assert!(dashboard[field].is_string(), "{field}");
    }
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    assert!(dashboard["time"]["from"].is_string() && dashboard["templating"]["list"].is_array());
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeMap::new());
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id stands twice");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is too far to the right");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert_eq!(cells.insert((x, y), title), None, "{title} lies over another");
            }
        }
        let targets = panel["targets"].as_array();
        let is_row = panel["type"] == "row";
        assert_eq!(targets.is_none_or(Vec::is_empty), is_row, "{title}");
        assert!(is_row || panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        for target in targets.into_iter().flatten() {
            assert!(target["refId"].is_string(), "{title}");
            let found = names(target["expr"].as_str().unwrap());
            assert!(!found.is_empty(), "{title}");
            shown.extend(found);
        }
    }
    assert_eq!(shown, families, "shown by the dashboard, and told by the server");
}
