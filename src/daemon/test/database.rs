//! A database server that demands a password, which comes from a file.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use store::testing::{Cluster, Stop};

use crate::machine::Machine;

/// `EX_CONFIG`.
const BAD_CONFIGURATION: i32 = 78;

/// A database server with the role `homeserver`, and a machine that is to use it.
struct Pair {
    cluster: Cluster,
    machine: Machine,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { cluster: Cluster::start_with_passwords(), machine: Machine::new() };
        pair.cluster.run_sql("CREATE ROLE homeserver LOGIN");
        pair.cluster.run_sql("CREATE DATABASE homeserver OWNER homeserver");
        pair.rotate("in-the-beginning");
        let url = format!("postgresql://homeserver@127.0.0.1:{}/homeserver", pair.cluster.port());
        let file = "password_file = \"database-password\"\nwait_timeout = \"2s\"";
        pair.machine.configure(&format!("[database]\nurl = \"{url}\"\n{file}\n"));
        pair
    }

    /// Gives the role another password.
    fn rotate(&self, password: &str) {
        self.cluster.run_sql(&format!("ALTER ROLE homeserver PASSWORD '{password}'"));
    }

    fn write(&self, password: &str) {
        self.machine.write("database-password", password, 0o600);
    }

    /// What a server that cannot start says.
    fn complaint(&self, status: i32) -> String {
        self.machine.run_configured(&["serve"]).failed(status).to_owned()
    }
}

#[test]
fn the_password_in_the_file_opens_the_database() {
    let pair = Pair::new();
    // The newline is no part of it.
    pair.write("in-the-beginning\n");
    let mut server = pair.machine.serve();
    assert_eq!(server.stop(), Some(0));

    pair.write("something-else");
    let start = Instant::now();
    let line = pair.complaint(1);
    assert!(line.contains("cannot open the database"), "{line}");
    assert!(line.contains("password authentication failed for user \"homeserver\""), "{line}");
    assert!(!line.contains("something-else"), "{line}");
    // No waiting makes a wrong password right.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_password_file_that_cannot_be_used_is_named_with_the_reason() {
    let pair = Pair::new();
    let refused = |reason: &str| {
        let line = pair.complaint(BAD_CONFIGURATION);
        let file = pair.machine.text("database-password");
        assert!(line.contains("homeserver.toml:"), "{line}");
        assert!(line.ends_with(&format!("cannot take {file}: {reason}")), "{line}");
    };
    let credential = "nor is there a credential matrix-homeserver.database-password";
    refused(&format!("No such file or directory (os error 2); {credential}"));
    pair.write("");
    refused("it is empty");
    pair.write("\n");
    refused("it is empty");
    pair.machine.write("database-password", "in-the-beginning", 0o644);
    refused("every user can read it; take that right away (chmod o-r)");
    std::fs::remove_file(pair.machine.path("database-password")).unwrap();
    std::fs::create_dir(pair.machine.path("database-password")).unwrap();
    refused("it is a directory");
}

/// The file is read with the rest of the configuration, and where the database is cannot change
/// while the server runs: a new password is used from the next start on, and a reload says so.
#[test]
fn a_new_password_is_used_after_a_restart() {
    let pair = Pair::new();
    pair.write("in-the-beginning");
    let mut server = pair.machine.serve();
    let health = || pair.machine.request("GET /health", None).0;
    pair.rotate("later");
    pair.write("later");
    server.signal(Signal::SIGHUP);
    server.wait_for_log("database.password_file: a new secret needs a restart");
    // Sessions that are open stay open; new ones are refused.
    assert_eq!(health(), 200);
    pair.cluster.stop(Stop::Fast);
    pair.cluster.resume();
    server.wait_for_log("password authentication failed for user \"homeserver\"");
    assert_eq!(health(), 503);
    let said = pair.machine.run_configured(&["health"]);
    assert!(said.failed(1).contains("is not well"), "{}", said.output);
    assert_eq!(server.stop(), Some(0));
    drop(server);
    let mut server = pair.machine.serve();
    assert_eq!(health(), 200);
    assert_eq!(server.stop(), Some(0));
    assert!(!pair.machine.log().contains("later"), "{}", pair.machine.log());
}
