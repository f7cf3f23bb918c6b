//! What stands in the journal: identifiers, priorities, message ids, and what the catalog puts into
//! its texts.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{egress, machine::Machine};

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");
const CATALOG: &str = include_str!("../../../systemd/matrix-homeserver.catalog");
const PATIENCE: Duration = Duration::from_mins(1);

type Record = BTreeMap<String, String>;

/// A program whose journal is heard here.
struct Journal {
    identifier: &'static str,
    socket: UnixDatagram,
    child: Child,
}

impl Journal {
    fn of(machine: &Machine) -> Self {
        Self::of_command(machine, "matrix-homeserver", &["serve"])
    }

    fn of_command(machine: &Machine, identifier: &'static str, inner: &[&str]) -> Self {
        let directory = machine.path("journal");
        fs::create_dir(&directory).unwrap();
        let socket = UnixDatagram::bind(directory.join("socket")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                      mount --bind \"$1\" /run/systemd/journal && shift && exec \"$@\"";
        let arguments = ["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"];
        let mut command = machine.command(Path::new("unshare"), &arguments);
        command.arg(directory).args([BINARY]).args(inner);
        command.arg("-c").arg(machine.path("homeserver.toml"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { identifier, socket, child }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// The next record of which this is true.
    fn find(&self, wanted: impl Fn(&Record) -> bool) -> Record {
        loop {
            let mut buffer = vec![0; 65536];
            let length = self.socket.recv(&mut buffer).expect("a record");
            if length == 0 {
                // Whether there is a journal is found out by sending nothing.
                continue;
            }
            let record = parse(&buffer[..length]);
            assert_eq!(record["SYSLOG_IDENTIFIER"], self.identifier, "{record:?}");
            if wanted(&record) {
                return record;
            }
        }
    }

    /// The next record with an entry of this subject in the catalog.
    fn find_subject(&self, subject: &str) -> Record {
        let (entries, _) = CATALOG.split_once(&format!("\nSubject: {subject}\n")).expect(subject);
        let id = &entries[entries.len() - 32..];
        let record = self.find(|record| record.get("MESSAGE_ID").is_some_and(|other| other == id));
        let text = CATALOG.split(&format!("\n-- {id}\n")).nth(1).unwrap();
        let text = text.split("\n-- ").next().unwrap();
        for field in text.split('@').skip(1).step_by(2) {
            assert!(record.contains_key(field), "no {field} in {record:?}");
        }
        record
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the journal's own protocol: NAME=VALUE, or NAME, the length, and a value with newlines.
fn parse(mut bytes: &[u8]) -> Record {
    let mut record = Record::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        if let Some(sign) = line.iter().position(|byte| *byte == b'=') {
            record.insert(text(&line[..sign]), text(&line[sign + 1..]));
            bytes = rest;
        } else {
            let (length, rest) = rest.split_first_chunk().unwrap();
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
            record.insert(text(line), text(&rest[..length]));
            bytes = &rest[length + 1..];
        }
    }
    record
}

#[test]
fn records_have_priorities_numbers_and_what_their_texts_need() {
    let machine = Machine::new();
    machine.configure("log = { format = \"journal\", level = \"debug\" }");
    let journal = Journal::of(&machine);
    let schema = journal.find_subject("The database's schema was brought up to date");
    assert_eq!((schema["PRIORITY"].as_str(), schema["FROM"].as_str()), ("6", "0"));
    let started = journal.find_subject("The Matrix homeserver answers requests");
    assert_eq!(started["PRIORITY"], "6");
    assert_eq!(started["SERVER_NAME"], "test.example");

    machine.write("conf.d/10.toml", "[cache]\nmemory = \"32 MiB\"\n", 0o600);
    journal.signal(Signal::SIGHUP);
    let waits = journal.find_subject("A changed setting waits for a restart");
    assert_eq!(waits["PRIORITY"], "4");
    assert_eq!(waits["MATRIX_SETTING"], "cache.memory");
    let applied = journal.find_subject("A reload of the configuration was applied");
    assert_eq!((applied["APPLIED"].as_str(), applied["WAITING"].as_str()), ("0", "1"));

    machine.write("conf.d/10.toml", "colour = 1\n", 0o600);
    journal.signal(Signal::SIGHUP);
    let refused = journal.find_subject("A reload of the configuration was refused");
    assert_eq!(refused["PRIORITY"], "3");
    assert!(refused["MESSAGE"].ends_with("10.toml:1: unknown key `colour`"), "{refused:?}");

    journal.signal(Signal::SIGTERM);
    assert_eq!(journal.find_subject("The Matrix homeserver has stopped")["PRIORITY"], "6");
}

#[test]
fn a_sandbox_that_is_not_closed_is_told() {
    let machine = Machine::new();
    let log = "log = { format = \"journal\" }\nsandbox = { landlock = \"off\" }";
    machine.configure(log);
    let journal = Journal::of(&machine);
    let told = journal.find_subject("The sandbox of the Matrix homeserver is not closed");
    assert_eq!(told["PRIORITY"], "4");
}

#[test]
fn a_connection_that_the_broker_refused_is_told() {
    let machine = Machine::new();
    egress::configure(&machine, "[log]\nformat = \"journal\"\n");
    let socket = machine.text("broker.sock");
    let arguments = ["egress-broker", "--socket", &socket];
    let journal = Journal::of_command(&machine, "matrix-homeserver-egress", &arguments);
    journal.find(|record| record["MESSAGE"].contains("connects for others"));
    // The server's own log goes elsewhere.
    egress::configure(&machine, "");
    let server = egress::server_without_network(&machine);
    machine.run_configured(&["check-connection", "localhost:9"]).failed(1);
    let refused = journal.find_subject("A connection into a denied range was refused");
    assert_eq!(refused["PRIORITY"], "6");
    assert_eq!(refused["DESTINATION"], "localhost:9");
    assert!(refused["RANGE"] == "127.0.0.0/8" || refused["RANGE"] == "::1/128", "{refused:?}");
    drop(server);
}
