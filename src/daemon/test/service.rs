//! What a service manager is told, from the start to the end, and what it is not told.

use std::{fs, io::Write, net::TcpStream, path::Path, thread, time::Duration};

use nix::{
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use store::testing::{Cluster, SchemaHold, Stop};

use crate::{
    machine::Machine,
    manager::{Manager, SlowLog},
};

#[test]
fn the_whole_life_is_told_in_order() {
    let machine = Machine::new();
    let mut manager = Manager::start(&machine, &[]);
    let told = manager.until("READY=1\n");
    assert_eq!(told[0], "STATUS=opening the database\n");
    for step in &told[1..told.len() - 1] {
        assert!(step.starts_with("EXTEND_TIMEOUT_USEC=60000000\nSTATUS=bringing the"), "{told:?}");
    }
    let version = env!("CARGO_PKG_VERSION");
    let running = format!(
        "READY=1\nSTATUS=version {version} answers requests; listening on 127.0.0.1:{}; sqlite; \
         sandbox closed (Landlock ABI ",
        machine.port
    );
    let ready = told.last().unwrap();
    assert!(ready.starts_with(&running) && ready.ends_with("; 0 connections\n"), "{ready}");
    // Not before: nobody has to try again.
    assert_eq!(machine.request("GET /health", None).0, 200);
    let connection = manager.until("STATUS=").pop().unwrap();
    assert!(connection.contains("version") && connection.contains(" connection"), "{connection}");

    let (reloaded, _) = manager.reload();
    assert!(reloaded.contains("answers requests, reloaded; listening on"), "{reloaded}");

    manager.signal(Signal::SIGTERM);
    let stopping = manager.until("STOPPING=1\n").pop().unwrap();
    // The requests' twenty seconds, those of cut connections, and the database's.
    let time = "EXTEND_TIMEOUT_USEC=35000000\n";
    assert_eq!(stopping, format!("STOPPING=1\n{time}STATUS=answering the last requests\n"));
    manager.until("STATUS=closing the database\n");
    assert_eq!(manager.child.wait().unwrap().code(), Some(0));
    assert!(manager.hear(Duration::ZERO).is_none_or(|told| told.contains("connections left")));
}

/// A stop ends within the minute that the units leave for it, whatever is configured.
#[test]
fn the_time_of_a_stop_fits_the_units() {
    let machine = Machine::new();
    machine.configure("limits = { stop_timeout = \"41s\" }");
    let refused = machine.run_configured(&["config", "check"]);
    assert!(refused.failed(78).contains("`limits.stop_timeout` must lie between"), "{refused:?}");
    machine.configure("limits = { stop_timeout = \"40s\" }");
    let manager = Manager::ready(&machine, &[]);
    manager.signal(Signal::SIGTERM);
    let told = manager.until("STOPPING=1\n").pop().unwrap();
    assert!(told.contains("EXTEND_TIMEOUT_USEC=55000000\n"), "{told}");
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd/matrix-homeserver.service");
    assert!(fs::read_to_string(unit).unwrap().contains("\nTimeoutStopSec=60s\n"));
}

/// A machine whose server waits at the database's schema until the first of these is dropped.
fn held_machine(cluster: &Cluster) -> (SchemaHold, Machine) {
    let url = cluster.create_database();
    let hold = SchemaHold::of(&url);
    let machine = Machine::new();
    machine.configure(&format!("database = {{ url = \"{url}\" }}"));
    (hold, machine)
}

#[test]
fn a_long_step_of_the_schema_extends_the_start() {
    let cluster = Cluster::start();
    let (hold, machine) = held_machine(&cluster);
    let mut manager = Manager::start(&machine, &[]);
    let step = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=bringing the database's schema to version ";
    manager.until(step);
    // And again, as long as it takes; a slow machine may have told of the beginning twice.
    let mut again = manager.until(step).pop().unwrap();
    while again.contains(" 0 s now\n") {
        again = manager.until(step).pop().unwrap();
    }
    assert!(again.contains(" s now\n"), "{again}");
    drop(hold);
    let told = manager.until("READY=1\n");
    assert!(told.last().unwrap().contains("; postgresql; "), "{told:?}");
    assert!(machine.log().contains("the database's schema was brought from version 0 to version"));
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn a_reload_that_is_asked_for_during_the_start_is_done_after_it() {
    let cluster = Cluster::start();
    let (hold, machine) = held_machine(&cluster);
    let mut manager = Manager::start(&machine, &[]);
    manager.until("EXTEND_TIMEOUT_USEC=60000000\n");
    machine.write("conf.d/10.toml", "[limits]\nstreams = 90\n", 0o600);
    manager.signal(Signal::SIGHUP);
    drop(hold);
    manager.until("READY=1\n");
    manager.until("RELOADING=1\n");
    manager.until("READY=1\n");
    assert!(machine.log().contains("limits.streams = 90 is in force"), "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
}

/// Before the server hears signals, it opens its sockets and tells of its sandbox.
#[test]
fn a_reload_that_is_asked_for_at_once_does_not_end_the_process() {
    let machine = Machine::new();
    let mut log = SlowLog::of(&machine);
    log.fill();
    let mut manager = Manager::of(&machine, SlowLog::command(&machine));
    while TcpStream::connect(("127.0.0.1", machine.port)).is_err() {
        thread::park_timeout(Duration::from_millis(10));
        assert_eq!(manager.child.try_wait().unwrap(), None);
    }
    manager.signal(Signal::SIGHUP);
    log.read();
    manager.until("READY=1\n");
    manager.until("RELOADING=1\n");
    manager.until("READY=1\n");
    assert_eq!(manager.stop(), Some(0));
}

/// A thread that does nothing until this is dropped, by the thread that made it.
pub(crate) struct Hanging(Pid);

impl Hanging {
    /// The thread of the process that has this name.
    pub(crate) fn thread_of(process: Pid, name: &str) -> Self {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let found = tasks.map(|task| task.unwrap().path()).find(|task| {
            fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        });
        let task = found.unwrap();
        // Caught at work it might hold a lock of the allocator, and all threads would hang.
        let turns = || {
            let status = fs::read_to_string(task.join("status")).unwrap();
            status.lines().find(|line| line.starts_with("voluntary")).unwrap().to_owned()
        };
        let mut before = turns();
        loop {
            thread::park_timeout(Duration::from_millis(500));
            let now = turns();
            if now == before {
                break;
            }
            before = now;
        }
        let thread = Pid::from_raw(task.file_name().unwrap().to_str().unwrap().parse().unwrap());
        ptrace::seize(thread, ptrace::Options::empty()).unwrap();
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        Self(thread)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // One that has ended needs nothing.
        let _ = ptrace::detach(self.0, None);
    }
}

#[test]
fn a_writer_that_hangs_starves_the_watchdog() {
    let machine = Machine::new();
    let mut manager = Manager::ready(&machine, &[("WATCHDOG_USEC", "4000000")]);
    assert!(manager.signs_of_life(Duration::from_secs(7)) >= 3, "{}", machine.log());
    let hanging = Hanging::thread_of(manager.id(), "store-writer");
    // One may be on its way, and one more is sent before the silence is long enough.
    let signs = [10, 5].map(|seconds| manager.signs_of_life(Duration::from_secs(seconds)));
    // Before anything can fail: nobody waits for the end of a process with a thread like this.
    drop(hanging);
    assert!(signs[0] <= 2 && signs[1] == 0, "{signs:?}\n{}", machine.log());
    assert!(machine.log().contains("the writer of the database hangs"), "{}", machine.log());
    assert!(manager.signs_of_life(Duration::from_secs(7)) >= 2, "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn a_process_that_stands_still_starves_the_watchdog() {
    let machine = Machine::new();
    let manager = Manager::ready(&machine, &[("WATCHDOG_USEC", "2000000")]);
    assert!(manager.signs_of_life(Duration::from_secs(3)) >= 2, "{}", machine.log());
    manager.signal(Signal::SIGSTOP);
    manager.signs_of_life(Duration::from_millis(200));
    assert_eq!(manager.signs_of_life(Duration::from_secs(3)), 0);
}

#[test]
fn a_database_that_is_away_does_not_starve_it() {
    let cluster = Cluster::start();
    let machine = Machine::new();
    machine.configure(&format!("database = {{ url = \"{}\" }}", cluster.create_database()));
    let mut manager = Manager::ready(&machine, &[("WATCHDOG_USEC", "8000000")]);
    assert!(manager.signs_of_life(Duration::from_secs(9)) >= 2, "{}", machine.log());
    cluster.stop(Stop::Fast);
    assert!(manager.signs_of_life(Duration::from_secs(26)) >= 4, "{}", machine.log());
    let log = machine.log();
    assert!(!log.contains("hangs"), "{log}");
    // It has been looked for several times meanwhile, by a change or without one.
    let ways = ["the database is away", "the connection to the database was lost"];
    let told: usize = ways.iter().map(|told| log.matches(told).count()).sum();
    assert_eq!(told, 1, "{log}");
    cluster.resume();
    machine.run_configured(&["registration-token", "create"]).ok();
    assert!(machine.log().contains("the database is there again"), "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn without_a_watchdog_there_are_no_signs() {
    let machine = Machine::new();
    let other = [("WATCHDOG_USEC", "1000000"), ("WATCHDOG_PID", "1")];
    let manager = Manager::ready(&machine, &other);
    assert_eq!(manager.signs_of_life(Duration::from_secs(3)), 0);
}

/// `PrivatePIDs=yes` of systemd 257.
#[test]
fn a_process_of_its_own_namespace_finds_its_sockets_and_its_watchdog() {
    let machine = Machine::new();
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n",
        machine.text("state")
    );
    machine.write("homeserver.toml", &text, 0o600);
    // systemd-socket-activate passes the socket; what it says of the process is then not true.
    let script = "exec unshare --user --map-root-user --pid --fork --kill-child \
                  env LISTEN_PID=4372 WATCHDOG_PID=4372 WATCHDOG_USEC=2000000 \"$@\"";
    let address = format!("127.0.0.1:{}", machine.port);
    let mut command = machine.command(Path::new("systemd-socket-activate"), &[]);
    command.args(["--fdname=client", "-l", &address, "-E", "NOTIFY_SOCKET"]);
    command.args(["sh", "-c", script, "sh", env!("CARGO_BIN_EXE_matrix-homeserver"), "serve"]);
    command.args(["-c", &machine.text("homeserver.toml")]);
    let manager = Manager::of(&machine, command);
    // The first connection starts it.
    while TcpStream::connect(&address).is_err() {
        thread::park_timeout(Duration::from_millis(20));
    }
    let ready = manager.until("READY=1\n").pop().unwrap();
    assert!(ready.contains(&format!("listening on {address}; ")), "{ready}");
    assert!(manager.signs_of_life(Duration::from_secs(4)) >= 2, "{}", machine.log());
    assert_eq!(machine.request("GET /health", None).0, 200);
}

#[test]
fn a_disk_that_becomes_full_is_told_until_there_is_room() {
    let machine = Machine::new();
    machine.configure_apart("");
    let script = "mount -t tmpfs -o size=16m none \"$1\" && exec \"$2\" serve -c \"$3\"";
    let program = env!("CARGO_BIN_EXE_matrix-homeserver");
    let (state, config) = (machine.text("state"), machine.text("homeserver.toml"));
    let arguments = ["-rm", "sh", "-c", script, "sh", &state, program, &config];
    let manager = Manager::of(&machine, machine.command(Path::new("unshare"), &arguments));
    manager.until("READY=1\n");
    let make = |name: &str| {
        let arguments = ["register-user", "-u", name, "-p", "wonderland", "--no-admin"];
        machine.run_configured(&arguments).status
    };
    assert_eq!(make("a"), Some(0));
    // The disk as the process sees it.
    let filler = format!("/proc/{}/root{state}/filler", manager.id());
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // What was written ahead is used up first.
    let failed = (0..200).find(|number| make(&format!("b{number}")) != Some(0));
    assert!(failed.is_some(), "{}", machine.log());
    let full = "STATUS=NO ROOM LEFT for the database; version";
    manager.until(full);
    assert!(machine.log().contains("there is no room left for the database"));
    drop(file);
    fs::remove_file(filler).unwrap();
    assert_eq!(make("c"), Some(0));
    assert!(!manager.until("STATUS=version").is_empty());
    assert!(machine.log().contains("there is room for the database again"));
}
