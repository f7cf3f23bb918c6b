//! Durability as the kernel sees it: between two answers of one writer lies a finished sync.

use std::{path::Path, process::Command};

use super::crash;
use crate::testing::{Cluster, Database, Directory};

/// What one line of a trace says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// The writer begins to say that a change was acknowledged.
    Answer,
    /// A sync has ended well.
    Synced,
}

/// The changes that the traced writer makes, one after the other.
const CHANGES: i64 = 40;

const TRACE: [&str; 8] =
    ["-f", "-ttt", "-T", "-s", "64", "-e", "trace=write,fsync,fdatasync", "-o"];

/// Has a command traced.
fn traced(command: &Command, trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(TRACE).arg(trace).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    strace
}

/// Reads a line such as `17 1700000000.123456 fdatasync(5) = 0 <0.000123>`, or the second half of
/// one that was interrupted by another thread's.
fn read_line(line: &str) -> Option<(f64, Event)> {
    let (_, rest) = line.split_once(' ')?;
    let (time, call) = rest.trim_start().split_once(' ')?;
    let time: f64 = time.parse().ok()?;
    if call.starts_with("write(1, \"acked ") {
        return Some((time, Event::Answer));
    }
    let resumed = call.starts_with("<... ");
    let is_sync = ["fsync", "fdatasync"]
        .iter()
        .any(|name| call.trim_start_matches("<... ").starts_with(name));
    let (_, result) = call.rsplit_once(" = ")?;
    let (status, lasted) = result.split_once(" <")?;
    if !is_sync || status != "0" {
        return None;
    }
    let lasted: f64 = lasted.trim_end_matches('>').parse().ok()?;
    // An interrupted line has the time of its end.
    Some((if resumed { time } else { time + lasted }, Event::Synced))
}

/// How many answers there are, and how many of them had no sync between them and the one before.
fn judge(traces: &[String]) -> (usize, usize) {
    let mut events: Vec<_> =
        traces.iter().flat_map(|trace| trace.lines().filter_map(read_line)).collect();
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut answers, mut bare, mut synced) = (0, 0, false);
    for (_, event) in events {
        match event {
            Event::Synced => synced = true,
            Event::Answer => {
                answers += 1;
                bare += usize::from(!synced);
                synced = false;
            }
        }
    }
    (answers, bare)
}

#[test]
fn an_answer_without_a_sync_is_seen() {
    let good = "7 10.000000 fdatasync(5) = 0 <0.100000>\n\
        8 10.150000 write(1, \"acked 1\\n\", 8) = 8 <0.000010>\n\
        7 10.160000 fdatasync(5 <unfinished ...>\n\
        9 10.300000 <... fdatasync resumed>) = 0 <0.140000>\n\
        8 10.310000 write(1, \"acked 2\\n\", 8) = 8 <0.000010>\n";
    assert_eq!(judge(&[good.to_owned()]), (2, 0));
    let early = "7 10.000000 fdatasync(5) = 0 <0.100000>\n\
        8 10.050000 write(1, \"acked 1\\n\", 8) = 8 <0.000010>\n\
        7 10.200000 fdatasync(5) = -1 EIO (Input/output error) <0.100000>\n\
        8 10.350000 write(1, \"acked 2\\n\", 8) = 8 <0.000010>\n";
    // The first sync ends after the first answer, and so counts for the second.
    assert_eq!(judge(&[early.to_owned()]), (2, 1));
    let failed = early.replace("= 0 ", "= -1 EIO (Input/output error) ");
    assert_eq!(judge(&[failed]), (2, 2));
}

/// Runs the writer and gives back its trace.
fn trace_writer(url: &str, directory: &Directory) -> String {
    let path = directory.path().join("writer");
    let mut child = traced(&crash::command(url, 0, 1, CHANGES), &path);
    child.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let mut child = child.spawn().expect("strace is needed: apt-get install strace");
    let numbers = crash::acknowledged(&mut child);
    assert!(child.wait().unwrap().success(), "strace needs to be allowed to trace (ptrace)");
    assert_eq!(numbers, (0..CHANGES).collect::<Vec<_>>());
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn no_answer_of_the_embedded_engine_comes_before_its_sync() {
    let directory = Directory::new("trace");
    let database = Database::sqlite();
    let trace = trace_writer(&database.settings().url, &directory);
    assert_eq!(judge(&[trace]), (usize::try_from(CHANGES).unwrap(), 0));
}

#[test]
fn no_answer_of_the_server_engine_comes_before_its_sync() {
    let directory = Directory::new("trace");
    let cluster = Cluster::start_traced(&TRACE);
    let trace = trace_writer(&cluster.create_database(), &directory);
    cluster.stop(crate::testing::Stop::Fast);
    let server = std::fs::read_to_string(cluster.trace()).unwrap();
    let of_the_writer_only = judge(std::slice::from_ref(&trace));
    let changes = usize::try_from(CHANGES).unwrap();
    // The writer itself syncs nothing; it is the server that does.
    assert_eq!(of_the_writer_only, (changes, changes));
    assert_eq!(judge(&[trace, server]), (changes, 0));
}
