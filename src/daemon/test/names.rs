//! The process that resolves names: where it is, what it holds, and when it ends.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use nix::sys::signal::Signal;

use crate::machine::{Machine, PATIENCE, Server};

/// The directories in /proc of the processes that a server has started.
fn children(server: &Server<'_>) -> Vec<PathBuf> {
    let pid = server.child.id();
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    listed.split_whitespace().map(|child| Path::new("/proc").join(child)).collect()
}

/// What a process has open.
fn open_files(process: &Path) -> Vec<String> {
    let listed = fs::read_dir(process.join("fd")).unwrap().flatten();
    let leads_to = listed.filter_map(|file| fs::read_link(file.path()).ok());
    leads_to.map(|path| path.display().to_string()).collect()
}

/// A line of the status of a process; none when it is gone.
fn status(process: &Path, name: &str) -> Option<String> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        std::thread::park_timeout(PATIENCE / 1000);
    }
}

/// What nobody has waited for yet has ended all the same.
fn has_ended(process: &Path) -> bool {
    status(process, "State:").is_none_or(|state| state == "Z")
}

/// Whether it has a handler for SIGHUP, the first one in the mask.
fn takes_signals(process: &Path) -> bool {
    let caught = status(process, "SigCgt:").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    caught.is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn it_runs_beside_a_server_and_ends_with_it_however_that_ends() {
    let machine = Machine::new();
    for end in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut server = machine.serve();
        let [process] = &children(&server)[..] else { panic!("{:?}", children(&server)) };
        let command = fs::read_to_string(process.join("cmdline")).unwrap();
        assert_eq!(command, "matrix-homeserver\0resolve-names\0--landlock\0enforce\0");
        // A signal for the whole unit is none for it.
        wait_for(|| takes_signals(process));
        let pid = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGHUP).unwrap();
        let held = open_files(process);
        let of_the_server = |path: &String| path.starts_with(machine.text("").as_str());
        let held: Vec<_> = held.iter().filter(|path| of_the_server(path)).collect();
        // The log is the standard error of both.
        assert!(held.iter().all(|path| path.ends_with("/log")), "{held:?}");
        assert!(!has_ended(process));
        server.signal(end);
        server.child.wait().unwrap();
        wait_for(|| has_ended(process));
    }
}

#[test]
fn without_a_sandbox_nobody_needs_it() {
    let machine = Machine::new();
    machine.configure("[sandbox]\nlandlock = \"off\"\n");
    let mut server = machine.serve();
    assert!(children(&server).is_empty(), "{:?}", children(&server));
    assert_eq!(server.stop(), Some(0));
}
