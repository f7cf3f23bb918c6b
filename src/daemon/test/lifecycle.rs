//! Start, reload and stop.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::machine::Machine;

#[test]
fn the_first_start_makes_what_it_needs_and_later_ones_keep_it() {
    let machine = Machine::new();
    let mut server = machine.serve();
    let key = fs::read_to_string(machine.path("signing.key")).unwrap();
    assert!(key.starts_with("ed25519 a_"), "{key}");
    let mode = fs::metadata(machine.path("signing.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(machine.path("homeserver.db").exists());
    assert_eq!(server.stop(), Some(0));
    assert!(!machine.path("admin.sock").exists());
    let mut server = machine.serve();
    assert_eq!(fs::read_to_string(machine.path("signing.key")).unwrap(), key);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_newer_schema_is_refused() {
    let machine = Machine::new();
    assert_eq!(machine.serve().stop(), Some(0));
    let url = format!("sqlite://{}", machine.text("homeserver.db"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(store::testing::make_newer(store::Settings::new(url)));
    let ran = machine.run_configured(&["serve"]);
    let line = ran.failed(1);
    assert!(line.contains("this program knows versions up to"), "{line}");
}

#[test]
fn a_stop_ends_long_polls_at_once() {
    let machine = Machine::new();
    let mut server = machine.serve();
    machine.run_configured(&["register-user", "-u", "a", "-p", "wonderland", "--no-admin"]).ok();
    let token = machine.log_in("a", "wonderland").1["access_token"].as_str().unwrap().to_owned();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", machine.port)).unwrap();
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let first = machine.sync(&token, None);
    let path = format!("/_matrix/client/v3/sync?timeout=30000&since={first}");
    stream.write_all(get(&path).as_bytes()).unwrap();
    // Long enough to be in the middle of it; if not, the test shows less, but does not fail.
    std::thread::park_timeout(Duration::from_millis(300));
    let start = Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("next_batch"), "{answer}");
}

#[test]
fn a_reload_puts_new_settings_in_force_and_refuses_wrong_ones() {
    let machine = Machine::new();
    let mut server = machine.serve();
    let register = || {
        let body = json!({"username": "a", "password": "wonderland"});
        machine.request("POST /_matrix/client/v3/register", Some(&body)).0
    };
    assert_eq!(register(), 403);
    machine.write(
        "conf.d/10.toml",
        "[registration]\nenabled = true\nwithout_verification = true\n\
         [cache]\nmemory = \"32 MiB\"\n",
        0o600,
    );
    server.signal(Signal::SIGHUP);
    server.wait_for_log("registration.enabled = true is in force");
    server.wait_for_log("cache.memory = \"32 MiB\" needs a restart");
    assert_eq!(register(), 401, "the flows of a registration");
    machine.write("conf.d/10.toml", "[registration]\nenable = false\n", 0o600);
    server.signal(Signal::SIGHUP);
    server.wait_for_log("10.toml:2: unknown key `registration.enable`");
    assert_eq!(register(), 401, "the old configuration is in force");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_listener_answers_its_resources_alone() {
    const VERSIONS: &str = "/_matrix/client/versions";
    const REGISTER: &str = "/_synapse/admin/v1/register";
    const SERVER: &str = "/.well-known/matrix/server";
    let machine = Machine::new();
    let status = |resources: &str, path: &str| {
        let directory = machine.text("");
        let text = format!(
            "server_name = \"test.example\"\nreport_stats = false\n\
             state_directory = \"{directory}\"\n\
             [[listeners]]\nbind = [\"127.0.0.1:{}\"]\nresources = [\"{resources}\"]\n\
             [registration]\nshared_secret_file = \"secret\"\n\
             [well_known]\nserver = \"fed.example:443\"\n",
            machine.port
        );
        machine.write("homeserver.toml", &text, 0o600);
        let server = machine.serve();
        let (status, _) = machine.request(&format!("GET {path}"), None);
        drop(server);
        status
    };
    assert_eq!(status("client", VERSIONS), 200);
    assert_eq!(status("client", REGISTER), 200);
    assert_eq!(status("admin", REGISTER), 200);
    assert_eq!(status("admin", VERSIONS), 404);
    assert_eq!(status("federation", SERVER), 200);
    assert_eq!(status("federation", VERSIONS), 404);
    assert_eq!(status("health", VERSIONS), 404);
}
