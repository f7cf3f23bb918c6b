//! What the process can still reach once it runs: exactly this, and everything without a sandbox.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;

use crate::{
    filter::{self, Hidden},
    machine::{Machine, Ran, SECRET},
};

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");

/// What Landlock refuses, and with which error.
const REFUSED: [(&str, &str); 15] = [
    ("write-configuration", "EACCES"),
    ("read-passwd", "EACCES"),
    ("read-init", "EACCES"),
    ("read-meminfo", "EACCES"),
    ("list-root", "EACCES"),
    ("list-etc", "EACCES"),
    ("list-cgroups", "EACCES"),
    ("write-etc", "EACCES"),
    ("write-temporary", "EACCES"),
    ("write-shared-memory", "EACCES"),
    ("execute-program", "EACCES"),
    ("execute-state", "EACCES"),
    ("bind-tcp", "EACCES"),
    ("connect-abstract", "EPERM"),
    ("signal-parent", "EPERM"),
];

/// What a server needs.
const NEEDED: [&str; 9] = [
    "write-state",
    "read-state",
    "make-directory",
    "move-state",
    "read-configuration",
    "list-configuration",
    "read-self",
    "read-urandom",
    "read-authorities",
];

/// A machine whose state lies apart from its configuration.
fn apart(more: &str) -> Machine {
    let machine = Machine::new();
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [[listeners]]\nbind = [\"127.0.0.1:{}\"]\n{more}\n",
        machine.text("state"),
        machine.port,
    );
    machine.write("etc/homeserver.toml", &text, 0o600);
    machine
}

/// Results and errors by name.
fn table(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let [name, result, error] = words.try_into().unwrap_or_else(|_| panic!("{line}"));
        (name, (result, error))
    };
    ran.ok().lines().map(row).collect()
}

fn probe(machine: &Machine, broker: Option<&str>) -> BTreeMap<String, (String, String)> {
    let config = machine.text("etc/homeserver.toml");
    let mut command = machine.command(Path::new(BINARY), &["sandbox-probe", "-c", &config]);
    command.envs(broker.map(|socket| ("MATRIX_HOMESERVER_EGRESS", socket)));
    table(&Ran::from(command.output().unwrap()))
}

fn is(result: &str, error: &str) -> (String, String) {
    (result.to_owned(), error.to_owned())
}

#[test]
fn the_sandbox_allows_what_a_server_needs_and_refuses_the_rest() {
    let machine = apart("");
    let found = probe(&machine, None);
    assert_eq!(found["landlock"].0, "enforced");
    for name in NEEDED {
        assert_eq!(found[name], is("allowed", "-"), "{name}");
    }
    for (name, error) in REFUSED {
        assert_eq!(found[name], is("refused", error), "{name}");
    }
    assert_eq!(found["connect-tcp"], is("allowed", "-"));
    assert_eq!(found["resolve-name"], is("allowed", "-"));
    assert_eq!(fs::read_dir(machine.path("state")).unwrap().count(), 0);
}

#[test]
fn without_the_sandbox_everything_is_open() {
    let machine = apart("[sandbox]\nlandlock = \"off\"");
    let found = probe(&machine, None);
    assert_eq!(found["landlock"], is("off", "-"));
    // What may fail for other reasons where the tests are no superuser's.
    let others = ["write-etc", "signal-parent"];
    for name in NEEDED.into_iter().chain(REFUSED.map(|(name, _)| name)) {
        if !others.contains(&name) {
            assert_eq!(found[name], is("allowed", "-"), "{name}");
        }
    }
}

#[test]
fn with_a_broker_nothing_connects() {
    let machine = apart("");
    // With a broker no TCP port can be bound at all.
    let text = fs::read_to_string(machine.path("etc/homeserver.toml")).unwrap();
    let socket = format!("unix:{}", machine.text("client.sock"));
    let text = text.replace(&format!("127.0.0.1:{}", machine.port), &socket);
    machine.write("etc/homeserver.toml", &text, 0o600);
    let found = probe(&machine, Some("/run/nowhere/broker.sock"));
    assert_eq!(found["connect-tcp"], is("refused", "EACCES"));
    assert_eq!(found["bind-tcp"], is("refused", "EACCES"));
    assert_eq!(found["resolve-name"].0, "refused");
}

#[test]
fn further_paths_are_opened() {
    let machine = apart("[sandbox]\nread_paths = [\"/etc\"]\nwrite_paths = [\"/tmp\"]");
    let found = probe(&machine, None);
    assert_eq!(found["read-passwd"], is("allowed", "-"));
    assert_eq!(found["write-temporary"], is("allowed", "-"));
    assert_eq!(found["list-root"], is("refused", "EACCES"));
    assert_eq!(found["write-shared-memory"], is("refused", "EACCES"));
}

#[test]
fn a_path_that_is_not_there_is_said_with_its_line() {
    let machine = apart("[sandbox]\nwrite_paths = [\"/nowhere\"]");
    for command in [&["serve"][..], &["config", "check"]] {
        let config = machine.text("etc/homeserver.toml");
        let ran = machine.run(&[command, &["-c", &config]].concat());
        let line = ran.failed(78);
        assert!(line.contains("homeserver.toml:7: `sandbox.write_paths` names /nowhere"), "{line}");
    }
}

#[test]
fn a_reload_reads_what_was_replaced() {
    let machine = Machine::new();
    let secret = |text: &str| {
        // As an editor does it: another file takes the name.
        machine.write("secrets/new", text, 0o600);
        fs::rename(machine.path("secrets/new"), machine.path("secrets/registration")).unwrap();
    };
    secret("one");
    let file = machine.text("secrets/registration");
    let text = |limit: &str| {
        format!(
            "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
             [[listeners]]\nbind = [\"127.0.0.1:{}\"]\n\
             [registration]\nshared_secret_file = \"{file}\"\n[log]\nlevel = \"{limit}\"\n",
            machine.text("state"),
            machine.port,
        )
    };
    machine.write("homeserver.toml", &text("info"), 0o600);
    let mut server = machine.serve();
    server.wait_for_log("the sandbox is closed: files, moving of files");
    secret("two");
    machine.write("new.toml", &text("info,room=debug"), 0o600);
    fs::rename(machine.path("new.toml"), machine.path("homeserver.toml")).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_log("registration.shared_secret_file: a new secret is in force");
    server.wait_for_log("log.level = \"info,room=debug\" is in force");
    let body = json!({"username": "a"});
    assert_eq!(machine.request("POST /_matrix/client/v3/register", Some(&body)).0, 403);
    assert_eq!(server.stop(), Some(0));
    assert!(!machine.log().contains("WARN"), "{}", machine.log());
}

#[test]
fn a_renewed_certificate_is_read_where_its_link_leads() {
    let machine = Machine::new();
    // As certbot keeps them: links to files of another directory, with new numbers each time.
    let renew = |number: u32| {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        for (name, text) in [("cert", cert.pem()), ("key", signing_key.serialize_pem())] {
            machine.write(&format!("archive/x/{name}{number}.pem"), &text, 0o600);
            let link = machine.path(&format!("live/x/{name}.pem"));
            let _ = fs::remove_file(&link);
            symlink(format!("../../archive/x/{name}{number}.pem"), link).unwrap();
        }
    };
    fs::create_dir_all(machine.path("live/x")).unwrap();
    renew(1);
    let port = Machine::new().port;
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [registration]\nshared_secret_file = \"secret\"\n\
         [[listeners]]\nbind = [\"127.0.0.1:{}\"]\n\
         [[listeners]]\nbind = [\"127.0.0.1:{port}\"]\n\
         tls = {{ certificate = \"{}\", private_key = \"{}\" }}\n",
        machine.text("state"),
        machine.port,
        machine.text("live/x/cert.pem"),
        machine.text("live/x/key.pem"),
    );
    machine.write("etc/homeserver.toml", &text, 0o600);
    machine.write("etc/secret", SECRET, 0o600);
    let server = machine.serve_configured("etc/homeserver.toml");
    renew(2);
    server.signal(Signal::SIGHUP);
    let url = format!("https://localhost:{port}");
    let config = machine.text("etc/homeserver.toml");
    let user = ["register-user", "-u", "a", "-p", "wonderland", "--no-admin", "-c", &config, &url];
    let mut command = machine.command(Path::new(BINARY), &user);
    command.env("SSL_CERT_FILE", machine.path("archive/x/cert2.pem"));
    // The signal may be late, but not for ever.
    let start = Instant::now();
    while Ran::from(command.output().unwrap()).status != Some(0) {
        assert!(start.elapsed() < Duration::from_mins(1), "{}", machine.log());
    }
}

#[test]
fn a_kernel_without_landlock_is_refused_unless_that_is_allowed() {
    // A container that hides it, one that lets a part of it through, and one more.
    for (hidden, reason) in [
        (Hidden::Everything, "this kernel has no Landlock, or a container hides it"),
        (Hidden::Rules, "failed to add a rule: Operation not permitted"),
        (Hidden::Restriction, "failed to restrict the calling thread"),
    ] {
        let machine = Machine::new();
        let config = machine.text("homeserver.toml");
        // As `serve` begins, but it ends also where it should not have begun.
        let command = machine.command(Path::new(BINARY), &["sandbox-probe", "-c", &config]);
        let ran = Ran::from(filter::output(command, hidden));
        let line = ran.failed(1);
        assert!(line.contains("cannot close the sandbox: "), "{line}");
        assert!(line.contains(reason) && line.contains("`landlock = \"best-effort\"`"), "{line}");

        machine.configure("[sandbox]\nlandlock = \"best-effort\"");
        let command = machine.command(Path::new(BINARY), &["sandbox-probe", "-c", &config]);
        let found = table(&Ran::from(filter::output(command, hidden)));
        assert_eq!(found["landlock"], is("failed", "-"), "{hidden:?}");
        assert_eq!(found["read-passwd"], is("allowed", "-"), "{hidden:?}");
    }
}
