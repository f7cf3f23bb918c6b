//! Reloads of the built program: what changes, what is refused, and that nobody notices.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};

use crate::{
    egress::command,
    machine::{Machine, Ran, SECRET},
    manager::{Manager, SlowLog},
};

/// `EX_CONFIG`.
const BAD_CONFIGURATION: i32 = 78;

#[test]
fn reloads_good_and_bad_lose_no_request() {
    const CLIENTS: usize = 4;
    let machine = Machine::new();
    let mut manager = Manager::ready(&machine, &[]);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut times = Vec::new();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let (status, _) = machine.request("GET /health", None);
                    assert_eq!(status, 200);
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        for round in 0..10 {
            let before = answered.load(SeqCst);
            let bad = round % 2 == 1;
            let text = if bad {
                "[limits]\nstream = 1\n".to_owned()
            } else {
                format!("[limits]\nstreams = {}\nconnections = {}\n", 100 + round, 20 + round)
            };
            machine.write("conf.d/10.toml", &text, 0o600);
            let (status, time) = manager.reload();
            times.push(time);
            let refused = "10.toml:2: unknown key `limits.stream`; did you mean `limits.streams`?";
            assert_eq!(status.contains(refused), bad, "{status}");
            while answered.load(SeqCst) < before + 10 {
                thread::yield_now();
            }
        }
        stop.store(true, SeqCst);
    });
    times.sort_unstable();
    // The machine may be busy, so that not each of them is as quick as it can be.
    assert!(times[0] < Duration::from_millis(100), "{times:?}");
    assert!(machine.log().contains("limits.streams = 108 is in force"), "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn the_verdict_is_of_what_was_written_before() {
    let machine = Machine::new();
    let mut server = machine.serve();
    let socket = machine.text("admin.sock");
    let verdict = || machine.run(&["reload", "--socket", &socket]);
    assert_eq!(verdict().ok(), "the configuration was read again");
    for round in 0..20 {
        let bad = round % 2 == 0;
        let text = if bad {
            "colour = 1\n[limits]\nstream = 1\n"
        } else {
            "[cache]\nmemory = \"32 MiB\"\n"
        };
        machine.write("conf.d/10.toml", text, 0o600);
        // Nothing is waited for. The service manager signals before or after, by its version.
        let before = round % 4 < 2;
        if before {
            server.signal(Signal::SIGHUP);
        }
        let ran = verdict();
        if !before {
            server.signal(Signal::SIGHUP);
        }
        if bad {
            assert_eq!(ran.status, Some(1));
            let told = &ran.errors;
            assert!(told.contains("the reload was refused"), "{told}");
            assert!(told.contains("10.toml:1: ") && told.contains("10.toml:3: "), "{told}");
        } else {
            let expected = "the configuration was read again\n\
                            cache.memory = \"32 MiB\" needs a restart";
            assert_eq!(ran.ok(), expected);
        }
    }
    // A configuration that is wrong leads to no socket, but is a refusal in itself.
    machine.write("conf.d/10.toml", "colour = 1\n", 0o600);
    assert!(machine.run_configured(&["reload"]).failed(BAD_CONFIGURATION).contains("10.toml:1"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_was_applied_and_what_needs_a_restart_is_printed() {
    let machine = Machine::new();
    let mut server = machine.serve();
    let text = "[limits]\nstreams = 90\n[cache]\nmemory = \"32 MiB\"\n";
    machine.write("conf.d/10.toml", text, 0o600);
    machine.write("secret", "another secret", 0o600);
    let ran = machine.run_configured(&["reload"]);
    let mut lines: Vec<_> = ran.ok().lines().collect();
    assert_eq!(lines.remove(0), "the configuration was read again");
    lines.sort_unstable();
    let expected = [
        "cache.memory = \"32 MiB\" needs a restart",
        "limits.streams = 90 is in force",
        "registration.shared_secret_file: a new secret is in force",
    ];
    assert_eq!(lines, expected);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_verdict_is_not_of_a_reload_under_way() {
    /// The time in which the question is surely there; a late one would find the same answer.
    const ASKING: Duration = Duration::from_millis(200);
    let machine = Machine::new();
    let mut log = SlowLog::of(&machine);
    let mut manager = Manager::of(&machine, SlowLog::command(&machine));
    manager.until("READY=1\n");
    let socket = machine.text("admin.sock");
    for round in 0..3 {
        // What it has read already is good.
        log.begin_reload(&machine, &manager, round);
        machine.write("conf.d/10.toml", "colour = 1\n", 0o600);
        thread::scope(|scope| {
            let verdict = scope.spawn(|| machine.run(&["reload", "--socket", &socket]));
            let start = Instant::now();
            while start.elapsed() < ASKING {
                thread::park_timeout(ASKING);
            }
            assert!(!verdict.is_finished());
            while !verdict.is_finished() {
                log.read();
                // A manager that does not listen stops its services.
                manager.hear(Duration::from_millis(1));
            }
            let ran = verdict.join().unwrap();
            assert_eq!(ran.status, Some(1), "{ran:?}");
            assert!(ran.errors.contains("10.toml:1: "), "{ran:?}");
        });
    }
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn what_is_no_file_is_refused_and_waited_for_by_nobody() {
    let machine = Machine::new();
    let manager = Manager::ready(&machine, &[]);
    let refused = |name: &str, told: &str| {
        let path = machine.path(name);
        let _ = fs::remove_file(&path);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let reason = format!("{told} {}: it is no regular file", path.display());
        for command in [&["config", "check"][..], &["serve"]] {
            let ran = machine.run_configured(command);
            assert!(ran.failed(BAD_CONFIGURATION).contains(&reason), "{ran:?}");
        }
        let (status, _) = manager.reload();
        assert!(status.contains(&reason), "{status}");
        fs::remove_file(&path).unwrap();
    };
    machine.write("conf.d/10.toml", "", 0o600);
    refused("conf.d/10.toml", "cannot read");
    refused("secret", "cannot take");
    machine.write("secret", SECRET, 0o600);
    assert!(!manager.reload().0.contains("REFUSED"));
}

#[test]
fn what_needs_a_restart_is_named_until_it_is_taken_back() {
    let machine = Machine::new();
    let manager = Manager::ready(&machine, &[]);
    machine.write("conf.d/10.toml", "[cache]\nmemory = \"32 MiB\"\n", 0o600);
    let waits = |status: &str| status.contains("needs a restart: cache.memory; version");
    let (status, _) = manager.reload();
    assert!(waits(&status), "{status}");
    assert!(machine.log().contains("cache.memory = \"32 MiB\" needs a restart"));
    // Nothing has changed since, and it waits still; also when the next one is refused.
    assert!(waits(&manager.reload().0));
    machine.write("conf.d/20.toml", "colour = 1\n", 0o600);
    assert!(waits(&manager.reload().0));
    fs::remove_file(machine.path("conf.d/20.toml")).unwrap();
    fs::remove_file(machine.path("conf.d/10.toml")).unwrap();
    let (status, _) = manager.reload();
    assert!(!status.contains("restart"), "{status}");
}

#[test]
fn what_a_listener_answers_is_changed_by_a_reload() {
    const VERSIONS: &str = "GET /_matrix/client/versions";
    let machine = Machine::new();
    let manager = Manager::ready(&machine, &[]);
    assert_eq!(machine.request(VERSIONS, None).0, 200);
    let listener = |resource: &str, port: u16| {
        let text =
            format!("[[listeners]]\nbind = [\"127.0.0.1:{port}\"]\nresources = [\"{resource}\"]\n");
        machine.write("conf.d/10.toml", &text, 0o600);
        manager.reload().0
    };
    assert!(!listener("health", machine.port).contains("restart"));
    assert_eq!(machine.request(VERSIONS, None).0, 404);
    // At another place nothing of it can be in force.
    let status = listener("client", machine.port - 1);
    let named = "needs a restart: listeners.bind, listeners.resources; version";
    assert!(status.contains(named), "{status}");
    assert_eq!(machine.request(VERSIONS, None).0, 404);
    assert!(!listener("client", machine.port).contains("restart"));
    assert_eq!(machine.request(VERSIONS, None).0, 200);
}

#[test]
fn a_credential_that_is_missing_or_malformed_is_named() {
    let machine = Machine::new();
    let credential = "credentials/matrix-homeserver.secret";
    fs::remove_file(machine.path("secret")).unwrap();
    machine.write(credential, "first", 0o600);
    let directory = machine.text("credentials");
    let manager = Manager::ready(&machine, &[("CREDENTIALS_DIRECTORY", &directory)]);
    let refused = |reason: &str| {
        let (status, _) = manager.reload();
        let key = "`registration.shared_secret_file` cannot take ";
        assert!(status.contains(key) && status.contains(reason), "{status}");
        let mut start = command(&machine, &["serve"]);
        let started = Ran::from(start.env("CREDENTIALS_DIRECTORY", &directory).output().unwrap());
        let line = started.failed(BAD_CONFIGURATION);
        assert!(line.contains(key) && line.contains(reason), "{line}");
        assert_eq!(machine.request("GET /_synapse/admin/v1/register", None).0, 200);
    };
    machine.write(credential, "", 0o600);
    refused("matrix-homeserver.secret: it is empty");
    fs::write(machine.path(credential), [0xff, 0xfe]).unwrap();
    refused("stream did not contain valid UTF-8");
    fs::remove_file(machine.path(credential)).unwrap();
    refused("secret: No such file");
    machine.write(credential, "second", 0o600);
    manager.reload();
    let log = machine.log();
    assert!(log.contains("registration.shared_secret_file: a new secret is in force"), "{log}");
    for secret in ["first", "second"] {
        assert!(!log.contains(secret), "{log}");
        let path = format!("/proc/{}/cmdline", manager.id());
        assert!(!fs::read_to_string(path).unwrap().contains(secret));
    }
}

#[test]
fn a_fragment_that_is_no_text_is_named() {
    let machine = Machine::new();
    let manager = Manager::ready(&machine, &[]);
    machine.write("conf.d/50.toml", "", 0o600);
    fs::write(machine.path("conf.d/50.toml"), b"server_name = \"\xff\"").unwrap();
    let reason = format!("cannot read {}: it is not UTF-8 text", machine.text("conf.d/50.toml"));
    for command in [&["config", "check"][..], &["serve"]] {
        let ran = machine.run_configured(command);
        assert!(ran.failed(BAD_CONFIGURATION).ends_with(&reason), "{ran:?}");
    }
    let (status, _) = manager.reload();
    assert!(status.contains(&reason), "{status}");
    manager.signal(Signal::SIGTERM);
}
