//! `reload` as `ExecReload=` runs it: it signals the process and ends as the reload does. The order
//! is the service manager's: READY comes before the command ends.

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    egress,
    machine::{Machine, Ran},
    manager::{Manager, SlowLog},
};

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");
/// What a log has once for each reload that is applied.
const APPLIED: &str = "the configuration was read again";
/// `EX_CONFIG`.
const BAD_CONFIGURATION: i32 = 78;

/// A machine with a runtime directory.
fn machine() -> Machine {
    let machine = Machine::new();
    fs::create_dir(machine.path("runtime")).unwrap();
    machine
}

fn start(machine: &Machine) -> Manager<'_> {
    Manager::ready(machine, &[("RUNTIME_DIRECTORY", &machine.text("runtime"))])
}

/// The command of the unit.
fn command(machine: &Machine, process: u32) -> Command {
    let mut command = machine.command(Path::new(BINARY), &["reload"]);
    command.env("MAINPID", process.to_string());
    command.env("RUNTIME_DIRECTORY", machine.path("runtime"));
    command
}

/// What `systemctl reload` comes to.
fn reload(machine: &Machine, process: u32) -> Ran {
    Ran::from(command(machine, process).output().unwrap())
}

#[test]
fn the_service_managers_command_ends_as_the_reload_does() {
    let machine = machine();
    let mut manager = start(&machine);
    let process = manager.child.id();
    for round in 1..=10 {
        let text = format!("[limits]\nstreams = {}\n", 100 + round);
        machine.write("conf.d/10.toml", &text, 0o600);
        let expected = format!("{APPLIED}\nlimits.streams = {} is in force", 100 + round);
        assert_eq!(reload(&machine, process).ok(), expected);
        // Each is told once, and the service manager knows of its end before the command ends.
        assert_eq!(machine.log().matches(APPLIED).count(), round);
        let told = heard(&manager);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
        assert!(told[1].starts_with("READY=1\n"), "{told:?}");

        // Not even TOML, so that it leads to no socket either.
        machine.write("conf.d/10.toml", "streams = [\n", 0o600);
        let refused = reload(&machine, process);
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.errors.contains("10.toml:"), "{refused:?}");
        assert_eq!(machine.log().matches("the new configuration is not used").count(), round);
        let told = heard(&manager).pop().unwrap();
        assert!(told.starts_with("READY=1\nSTATUS=RELOAD REFUSED"), "{told}");
    }
    assert_eq!(fs::read_dir(machine.path("runtime")).unwrap().count(), 0);
    assert_eq!(manager.stop(), Some(0));
}

/// What the service manager has been told of reloads until now.
fn heard(manager: &Manager<'_>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(message) = manager.hear(Duration::ZERO) {
        told.extend(Some(message).filter(|message| !message.starts_with("STATUS=")));
    }
    told
}

#[test]
fn a_reload_under_way_does_not_answer_the_command() {
    const ASKING: Duration = Duration::from_millis(200);
    let machine = machine();
    let mut log = SlowLog::of(&machine);
    let mut server = SlowLog::command(&machine);
    server.env("RUNTIME_DIRECTORY", machine.path("runtime"));
    let mut manager = Manager::of(&machine, server);
    manager.until("READY=1\n");
    let process = manager.child.id();
    for round in 0..3 {
        // What it has read already is good.
        log.begin_reload(&machine, &manager, round);
        machine.write("conf.d/10.toml", "colour = 1\n", 0o600);
        thread::scope(|scope| {
            let ran = scope.spawn(|| reload(&machine, process));
            while !machine.path("runtime/reload.sock").exists() {
                thread::yield_now();
            }
            // Now the signal is sent, too; were it not, the answer would be the same.
            thread::park_timeout(ASKING);
            while !ran.is_finished() {
                log.read();
                // A manager that does not listen stops its services.
                manager.hear(Duration::from_millis(1));
            }
            let ran = ran.join().unwrap();
            assert_eq!(ran.status, Some(1), "{ran:?}");
            assert!(ran.errors.contains("10.toml:1: "), "{ran:?}");
        });
    }
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn what_the_journal_has_from_the_server_it_does_not_get_again() {
    let machine = machine();
    let mut manager = start(&machine);
    let process = manager.child.id();
    for (text, status) in [("[limits]\nstreams = 90\n", 0), ("colour = 1\n", 1)] {
        machine.write("conf.d/10.toml", text, 0o600);
        let journal = fs::File::create(machine.path("journal")).unwrap();
        let stream = journal.metadata().unwrap();
        let mut command = command(&machine, process);
        command.env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino()));
        command.stdout(Stdio::from(journal.try_clone().unwrap())).stderr(journal);
        assert_eq!(command.status().unwrap().code(), Some(status));
        assert_eq!(fs::read_to_string(machine.path("journal")).unwrap(), "");
    }
    assert_eq!(manager.stop(), Some(0));
    // What no server could tell is told in any case.
    let gone = reload(&machine, process);
    let line = gone.failed(1);
    assert!(line.contains(&format!("cannot signal process {process}: ")), "{line}");
}

#[test]
fn the_broker_refuses_a_reload_as_the_server_does() {
    let machine = machine();
    egress::configure(&machine, "");
    let socket = machine.text("broker.sock");
    let mut inner = egress::command(&machine, &["egress-broker", "--socket", &socket]);
    inner.env("RUNTIME_DIRECTORY", machine.path("runtime"));
    let mut manager = Manager::of(&machine, inner);
    manager.until("READY=1\n");
    let process = manager.child.id();

    egress::configure(&machine, "[egress]\nconnect_timeout = \"3s\"\n");
    let applied = reload(&machine, process);
    let expected = format!("{APPLIED}\negress.connect_timeout = \"3s\" is in force");
    assert_eq!(applied.ok(), expected);
    assert_eq!(machine.log().matches(APPLIED).count(), 1);

    egress::configure(&machine, "[egress]\nip_range_denylist = [\"10.0.0.0/33\"]\n");
    let refused = reload(&machine, process);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    let line = "homeserver.toml:7: `egress.ip_range_denylist` cannot be used: ";
    assert!(refused.errors.contains(line), "{refused:?}");
    let log = machine.log();
    assert_eq!(log.matches("the new configuration is not used: ").count(), 1, "{log}");
    let told = heard(&manager).pop().unwrap();
    let status = "READY=1\nSTATUS=connecting for others; RELOAD REFUSED, the old configuration";
    assert!(told.starts_with(status), "{told}");
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn a_moved_admin_socket_is_found_by_the_configuration() {
    let machine = machine();
    let moved = format!("[admin]\nsocket = \"{}\"\n", machine.text("moved.sock"));
    machine.write("conf.d/05.toml", &moved, 0o600);
    let mut manager = start(&machine);
    assert!(machine.path("moved.sock").exists() && !machine.path("admin.sock").exists());
    assert_eq!(machine.run_configured(&["reload"]).ok(), APPLIED);
    assert!(!machine.log().contains("administrative commands"), "{}", machine.log());
    machine.write("conf.d/10.toml", "colour = 1\n", 0o600);
    let refused = machine.run_configured(&["reload"]);
    assert!(refused.failed(BAD_CONFIGURATION).contains("10.toml:1"), "{refused:?}");
    fs::remove_file(machine.path("conf.d/10.toml")).unwrap();

    // Moved again, which takes a restart: the service manager's way leads there all the same.
    let again = format!("[admin]\nsocket = \"{}\"\n", machine.text("again.sock"));
    machine.write("conf.d/05.toml", &again, 0o600);
    let told = reload(&machine, manager.child.id());
    assert!(told.ok().ends_with("again.sock\" needs a restart"), "{told:?}");
    let lost = machine.run_configured(&["reload"]);
    assert!(lost.failed(1).contains("cannot reach the server at"), "{lost:?}");
    machine.run(&["reload", "--socket", &machine.text("moved.sock")]).ok();
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn an_admin_socket_that_is_passed_is_used_and_found_where_the_configuration_says() {
    let machine = Machine::new();
    let start = |place: &str| {
        let listener = UnixListener::bind(machine.path("passed.sock")).unwrap();
        let configured = format!("[admin]\nsocket = \"{}\"\n", machine.text(place));
        machine.write("conf.d/05.toml", &configured, 0o600);
        let inner = egress::command(&machine, &["serve"]);
        let manager = Manager::of(&machine, egress::passing(&inner, "admin", &listener));
        manager.until("READY=1\n");
        (manager, listener)
    };
    let (mut manager, _listener) = start("passed.sock");
    assert_eq!(machine.run_configured(&["reload"]).ok(), APPLIED);
    assert!(!machine.log().contains("administrative commands"), "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
    fs::remove_file(machine.path("passed.sock")).unwrap();
    let (mut manager, _listener) = start("elsewhere.sock");
    let line = format!("look for it at admin.socket, unix:{}", machine.text("elsewhere.sock"));
    assert!(machine.log().contains(&line), "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
}
