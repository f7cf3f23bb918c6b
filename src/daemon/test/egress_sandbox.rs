//! The sandbox of the broker: what a reload of its configuration can still reach, and what becomes
//! of a broker that cannot close it. That it still resolves and connects is told in `egress`.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::ExitStatus,
    time::Instant,
};

use nix::sys::signal::Signal;

use crate::{
    egress::{PATIENCE, Process, broker, command, configure, passing},
    filter::{Hidden, without},
    machine::Machine,
};

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");

/// What a reload says of a fragment that leads to a file which every user can read, but which is no
/// configuration.
fn reload_with_passwd(machine: &Machine, broker: &mut Process) -> String {
    fs::create_dir_all(machine.path("conf.d")).unwrap();
    let link = machine.path("conf.d/30.toml");
    symlink("/etc/passwd", &link).unwrap();
    broker.signal(Signal::SIGHUP);
    broker.wait_for("the new configuration is not used: ", 1);
    fs::remove_file(link).unwrap();
    let log = broker.log();
    log.lines().find(|line| line.contains("is not used")).unwrap().to_owned()
}

/// Waits for its end.
fn ended(process: &mut Process) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = process.child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "it goes on:\n{}", process.log());
        std::thread::park_timeout(PATIENCE / 1000);
    }
}

#[test]
fn a_reload_of_the_broker_reads_its_configuration_and_nothing_else() {
    let machine = Machine::new();
    configure(&machine, "");
    let mut broker = broker(&machine);
    broker.wait_for("the sandbox is closed: files", 1);
    let said = reload_with_passwd(&machine, &mut broker);
    assert!(said.contains("cannot read") && said.contains("Permission denied"), "{said}");
    // As an editor does it: another file takes the name.
    machine.write("conf.d/new", "[egress]\nconnect_timeout = \"3s\"\n", 0o644);
    fs::rename(machine.path("conf.d/new"), machine.path("conf.d/40.toml")).unwrap();
    broker.signal(Signal::SIGHUP);
    broker.wait_for("egress.connect_timeout = \"3s\" is in force", 1);
    configure(&machine, "[sandbox]\nlandlock = \"off\"\nread_paths = [\"/etc\"]\n");
    broker.signal(Signal::SIGHUP);
    broker.wait_for("sandbox.landlock = \"off\" needs a restart", 1);
    assert!(!broker.log().contains("read_paths"), "{}", broker.log());
    assert_eq!(broker.stop(), Some(0));
    assert!(!machine.path("broker.sock").exists());
}

#[test]
fn a_broker_whose_sandbox_is_switched_off_reads_everything() {
    let machine = Machine::new();
    configure(&machine, "[sandbox]\nlandlock = \"off\"\n");
    let mut broker = broker(&machine);
    broker.wait_for("the sandbox is switched off", 1);
    let said = reload_with_passwd(&machine, &mut broker);
    assert!(said.contains("30.toml:1: ") && !said.contains("Permission denied"), "{said}");
}

#[test]
fn a_broker_that_cannot_close_its_sandbox_is_refused_unless_that_is_allowed() {
    let machine = Machine::new();
    let start = |hidden, log: &str| {
        let socket = machine.text("broker.sock");
        let command = command(&machine, &["egress-broker", "--socket", &socket]);
        let log = machine.path(log);
        without(hidden, move || Process::start(command, log))
    };
    for (hidden, log) in [(Hidden::Everything, "no.log"), (Hidden::Restriction, "half.log")] {
        configure(&machine, "");
        let mut refused = start(hidden, log);
        assert_eq!(ended(&mut refused).code(), Some(1));
        let said = refused.log();
        let lines: Vec<_> = said.lines().collect();
        assert!(
            matches!(lines[..], [line] if line.contains("cannot close the sandbox: ")),
            "{said}"
        );
        assert!(said.contains("`landlock = \"best-effort\"` in [sandbox]"), "{said}");
        assert!(!machine.path("broker.sock").exists());

        configure(&machine, "[sandbox]\nlandlock = \"best-effort\"\n");
        let mut allowed = start(hidden, &format!("best-{log}"));
        allowed.wait_for("the sandbox is not closed: ", 1);
        allowed.wait_for("connects for others", 1);
        assert_eq!(allowed.stop(), Some(0));
    }
}

#[test]
fn a_file_that_the_sandbox_grants_alone_and_that_is_replaced_starts_the_broker_anew() {
    let machine = Machine::new();
    let listener = UnixListener::bind(machine.path("broker.sock")).unwrap();
    // What lies in /tmp itself is granted alone, as /etc/resolv.conf is.
    let file = || tempfile::Builder::new().suffix(".toml").tempfile_in("/tmp").unwrap();
    let config = file();
    let arguments = ["egress-broker", "--config", config.path().to_str().unwrap()];
    let inner = machine.command(Path::new(BINARY), &arguments);
    let command = passing(&inner, "egress", &listener);
    let mut broker = Process::start(command, machine.path("broker.log"));
    broker.wait_for("connects for others", 1);
    file().persist(config.path()).unwrap();
    assert_eq!(ended(&mut broker).code(), Some(0), "{}", broker.log());
    broker.wait_for("a file was replaced: the next request starts the broker anew", 1);
}
