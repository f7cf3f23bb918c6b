//! What stands in the journal: identifiers, priorities, message ids, and what the catalog puts into
//! its texts.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    certificates::{certificate, certificate_for, configure_tls, write_certificate},
    egress,
    machine::Machine,
    service::Hanging,
};

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
        Self::with(machine, identifier, inner, &[])
    }

    /// With variables; `DISK` names a directory that gets a small file system of its own.
    fn with(
        machine: &Machine,
        identifier: &'static str,
        inner: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let directory = machine.path("journal");
        fs::create_dir(&directory).unwrap();
        let socket = UnixDatagram::bind(directory.join("socket")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                      mount --bind \"$1\" /run/systemd/journal && shift && \
                      if [ \"$DISK\" ]; then mount -t tmpfs -o size=16m none \"$DISK\"; fi && \
                      exec \"$@\"";
        let arguments = ["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"];
        let mut command = machine.command(Path::new("unshare"), &arguments);
        command.arg(directory).args([BINARY]).args(inner).envs(variables.iter().copied());
        command.arg("-c").arg(machine.path("homeserver.toml"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { identifier, socket, child }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// The next record of which this is true.
    fn find(&self, wanted: impl Fn(&Record) -> bool) -> Record {
        loop {
            let mut buffer = vec![0; 65536];
            let length = match self.socket.recv(&mut buffer) {
                // A thread that another test stops makes itself felt here.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.expect("a record"),
            };
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
        let id = id_of(subject);
        let record = self.find(|record| record.get("MESSAGE_ID").is_some_and(|other| other == id));
        let text = CATALOG.split(&format!("\n-- {id}\n")).nth(1).unwrap();
        let text = text.split("\n-- ").next().unwrap();
        for field in text.split('@').skip(1).step_by(2) {
            assert!(record.contains_key(field), "no {field} in {record:?}");
        }
        record
    }
}

/// The number of the entry with this subject in the catalog.
fn id_of(subject: &str) -> &'static str {
    let (entries, _) = CATALOG.split_once(&format!("\nSubject: {subject}\n")).expect(subject);
    &entries[entries.len() - 32..]
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
    // Whoever reads the texts alone sees what the fields say, and nothing twice.
    assert!(schema["MESSAGE"].ends_with("from version 0 to version 1"), "{schema:?}");
    let listening = journal.find(|record| record["MESSAGE"].starts_with("listening"));
    let address = format!("127.0.0.1:{}", machine.port);
    assert_eq!(listening["MESSAGE"], format!("listening address={address} tls=false"));
    assert_eq!((&listening["ADDRESS"], &*listening["TLS"]), (&address, "false"));
    let started = journal.find_subject("The Matrix homeserver answers requests");
    assert_eq!(started["PRIORITY"], "6");
    assert_eq!(started["SERVER_NAME"], "test.example");

    machine.write("conf.d/10.toml", "[cache]\nmemory = \"32 MiB\"\n", 0o600);
    journal.signal(Signal::SIGHUP);
    let waits = journal.find_subject("A changed setting waits for a restart");
    assert_eq!(waits["PRIORITY"], "4");
    assert_eq!(waits["MATRIX_SETTING"], "cache.memory");
    let applied = journal.find_subject("A reload of the configuration was applied");
    assert_eq!(applied["PRIORITY"], "6");
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

    // What the broker reads of a configuration it refuses and applies as the server does.
    egress::configure(&machine, "[egress]\nip_range_denylist = [\"10.0.0.0/33\"]\n");
    journal.signal(Signal::SIGHUP);
    let refused = journal.find_subject("A reload of the configuration was refused");
    assert_eq!(refused["PRIORITY"], "3");
    assert!(refused["MESSAGE"].contains("homeserver.toml:7: `egress.ip_range_denylist`"));
    egress::configure(&machine, "[egress]\nconnect_timeout = \"3s\"\n");
    journal.signal(Signal::SIGHUP);
    let waits = journal.find_subject("A changed setting waits for a restart");
    assert_eq!((&*waits["PRIORITY"], &*waits["MATRIX_SETTING"]), ("4", "log.format"));
    let applied = journal.find_subject("A reload of the configuration was applied");
    assert_eq!((&*applied["APPLIED"], &*applied["WAITING"]), ("1", "1"));
}

#[test]
fn certificates_are_told_before_and_after_their_end_and_when_they_cannot_be_used() {
    /// Enough for a start on a busy machine, which refuses what has expired.
    const SECONDS: i64 = 12;
    let machine = Machine::new();
    configure_tls(&machine, "[log]\nformat = \"journal\"\n");
    write_certificate(&machine, "", &certificate_for(SECONDS));
    let journal = Journal::of(&machine);
    let file = machine.text("tls.pem");
    // Certificates are looked at beside the start.
    let (mut expires, mut started) = (None, false);
    while expires.is_none() || !started {
        let record = journal.find(|record| record.contains_key("MESSAGE_ID"));
        started |= record["MESSAGE_ID"] == id_of("The Matrix homeserver answers requests");
        let is_wanted = record["MESSAGE_ID"] == id_of("A TLS certificate expires soon");
        expires = expires.or(is_wanted.then_some(record));
    }
    let expires = expires.unwrap();
    assert_eq!(expires["PRIORITY"], "4");
    assert_eq!((&expires["CERTIFICATE"], &*expires["DAYS"]), (&file, "0"));

    machine.write("tls.key", &certificate(100).1, 0o600);
    journal.signal(Signal::SIGHUP);
    let refused = journal.find_subject("A new TLS certificate cannot be used");
    assert_eq!(refused["PRIORITY"], "3");
    assert!(refused["MESSAGE"].contains("does not belong to the certificate"), "{refused:?}");

    let expired = journal.find_subject("A TLS certificate has expired");
    assert_eq!((&*expired["PRIORITY"], &expired["CERTIFICATE"]), ("3", &file));
}

#[test]
fn a_full_disk_and_its_end_are_told() {
    let machine = Machine::new();
    machine.configure_apart("log = { format = \"journal\" }");
    let disk = [("DISK", &*machine.text("state"))];
    let journal = Journal::with(&machine, "matrix-homeserver", &["serve"], &disk);
    journal.find_subject("The Matrix homeserver answers requests");
    let make = |name: &str| {
        let arguments = ["register-user", "-u", name, "-p", "wonderland", "--no-admin"];
        machine.run_configured(&arguments).status
    };
    assert_eq!(make("a"), Some(0));
    // The disk as the process sees it.
    let filler = format!("/proc/{}/root{}/filler", journal.id(), machine.text("state"));
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // What was written ahead is used up first.
    assert!((0..200).any(|number| make(&format!("b{number}")) != Some(0)));
    let full = journal.find_subject("There is no room left for the database");
    assert_eq!(full["PRIORITY"], "3");
    drop(file);
    fs::remove_file(filler).unwrap();
    assert_eq!(make("c"), Some(0));
    let recovered = journal.find_subject("There is room for the database again");
    assert_eq!(recovered["PRIORITY"], "6");
}

/// What is told of a thread that hangs.
fn told_of(thread: &str) -> Record {
    let machine = Machine::new();
    machine.configure("log = { format = \"journal\" }");
    let watchdog = [("WATCHDOG_USEC", "4000000")];
    let journal = Journal::with(&machine, "matrix-homeserver", &["serve"], &watchdog);
    journal.find_subject("The Matrix homeserver answers requests");
    let hanging = Hanging::thread_of(journal.id(), thread);
    let told = journal.find(|record| record["MESSAGE"].contains("hangs"));
    // Before anything can fail: nobody waits for the end of a process with a thread like this.
    drop(hanging);
    told
}

#[test]
fn a_writer_that_hangs_is_told() {
    let told = told_of("store-writer");
    assert_eq!(told["MESSAGE_ID"], id_of("The writer of the database hangs"));
    assert_eq!(told["PRIORITY"], "3");
    assert!(told["SECONDS"].parse::<u64>().unwrap() >= 2, "{told:?}");
}

#[test]
fn a_thread_of_connections_that_hangs_is_told() {
    let told = told_of("lane-1");
    assert_eq!(told["MESSAGE_ID"], id_of("A thread of connections hangs"));
    assert_eq!(told["PRIORITY"], "3");
}

/// A message that no test makes the program say may have lost its number, level or fields.
#[test]
fn every_message_of_the_catalog_is_heard_in_a_test() {
    let tests = include_str!("journal.rs");
    let subjects = CATALOG.lines().filter_map(|line| line.strip_prefix("Subject: "));
    let subjects: Vec<_> = subjects.collect();
    assert!(subjects.len() > 10, "{subjects:?}");
    for subject in subjects {
        let heard = ["find_subject", "id_of"]
            .iter()
            .any(|how| tests.contains(&format!("{how}(\"{subject}\")")));
        assert!(heard, "{subject}");
    }
}
