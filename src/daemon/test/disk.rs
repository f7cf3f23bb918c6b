//! A start on a disk that is full, read-only or somebody else's: one line that says so, and a
//! failure.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::machine::{Machine, Ran};

/// Serves with a file system of its own at `$1`, mounted with the options `$2`.
const ON_A_DISK: &str = "mount -t tmpfs -o \"$2\" none \"$1\" && exec \"$3\" serve -c \"$4\"";

/// What a start says with this file system at a directory of the machine.
fn complaint(machine: &Machine, directory: &str, options: &str) -> String {
    fs::create_dir_all(machine.path(directory)).unwrap();
    let program = env!("CARGO_BIN_EXE_matrix-homeserver");
    let (place, config) = (machine.text(directory), machine.text("homeserver.toml"));
    // Whoever is root of a namespace may mount in it; the test itself need not be.
    let arguments = ["-rm", "sh", "-c", ON_A_DISK, "sh", &place, options, program, config.as_str()];
    let mut command = machine.command(Path::new("unshare"), &arguments);
    Ran::from(command.output().unwrap()).failed(1).to_owned()
}

/// A machine with the state, and the database where it is said, apart from everything else.
fn apart(database: &str) -> Machine {
    let machine = Machine::new();
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [[listeners]]\nbind = [\"127.0.0.1:{}\"]\n[database]\nurl = \"sqlite://{}\"\n",
        machine.text("state"),
        machine.port,
        machine.text(database),
    );
    machine.write("homeserver.toml", &text, 0o600);
    machine
}

#[test]
fn a_full_disk() {
    let machine = apart("state/homeserver.db");
    let line = complaint(&machine, "state", "size=32k");
    let expected =
        format!("cannot write in the state directory {}: No space", machine.text("state"));
    assert!(line.contains(&expected), "{line}");
}

#[test]
fn a_disk_that_is_full_before_the_database_is_made() {
    let machine = apart("state/homeserver.db");
    let line = complaint(&machine, "state", "size=128k");
    assert!(line.contains("database or disk is full"), "{line}");
    let url = format!("(sqlite://{})", machine.text("state/homeserver.db"));
    assert!(line.ends_with(&url), "{line}");
}

#[test]
fn a_disk_that_nobody_writes() {
    let machine = apart("state/homeserver.db");
    let line = complaint(&machine, "state", "ro");
    assert!(line.contains("cannot write in the state directory"), "{line}");
    assert!(line.contains("Read-only file system"), "{line}");
}

#[test]
fn a_database_on_a_disk_that_nobody_writes() {
    let machine = apart("disk/homeserver.db");
    let line = complaint(&machine, "disk", "ro");
    let expected = format!("cannot open the database {}", machine.text("disk/homeserver.db"));
    assert!(line.contains(&expected) && line.contains("Read-only file system"), "{line}");
}

#[test]
fn a_directory_without_rights() {
    let machine = apart("state/homeserver.db");
    fs::create_dir(machine.path("state")).unwrap();
    fs::set_permissions(machine.path("state"), fs::Permissions::from_mode(0o500)).unwrap();
    let program = env!("CARGO_BIN_EXE_matrix-homeserver");
    let config = machine.text("homeserver.toml");
    // Not even the superuser may, without that capability.
    let drop = ["-r", "setpriv", "--bounding-set=-dac_override", "--inh-caps=-all"];
    let arguments = [&drop[..], &[program, "serve", "-c", &config]].concat();
    let mut command = machine.command(Path::new("unshare"), &arguments);
    let ran = Ran::from(command.output().unwrap());
    let line = ran.failed(1);
    assert!(line.contains("cannot write in the state directory"), "{line}");
    assert!(line.contains("Permission denied"), "{line}");
}
