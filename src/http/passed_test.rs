//! Tests of passed sockets, in child processes: the variables and the descriptors are a process's
//! own.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use super::*;
use crate::{Bind, Listener};

/// Says to this very test that it is the child, and what to do.
const ROLE: &str = "PASSED_SOCKETS_TEST_ROLE";

/// Starts the test `name` again in a child that gets a TCP socket as descriptor 3 and a unix
/// socket as descriptor 4 (and what is no socket as descriptor 5), and gives what the child said.
fn child(name: &str, role: &str, names: &str, count: u32) -> String {
    let directory = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(directory.path().join("passed.sock")).unwrap();
    // The shell gives its own process number to what it turns into.
    let script = "exec 3<&0 4<&1 5</dev/null 0</dev/null 1>&2; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, role)
        .env("LISTEN_FDS", count.to_string())
        .env("LISTEN_FDNAMES", names)
        .stdin(Stdio::from(OwnedFd::from(tcp)))
        .stdout(Stdio::from(OwnedFd::from(unix)))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// What a child does: take what its role names, and say how that went.
fn play(role: &str) {
    let mut passed = match PassedSockets::from_environment() {
        Ok(passed) => passed,
        Err(error) => return eprintln!("said: {error}"),
    };
    eprintln!("names: {:?}", passed.names());
    assert!(std::env::var_os("LISTEN_FDS").is_none(), "children would take the sockets again");
    for name in role.split(',').filter(|name| !name.is_empty()) {
        let bind = Bind::Passed { name: name.to_owned() };
        match Listener::bind(&bind, &mut passed) {
            Ok(listeners) => {
                for listener in listeners {
                    eprintln!("took: {name} {}", listener.address());
                }
            }
            Err(error) => eprintln!("said: {error}"),
        }
    }
    if let Err(error) = passed.finish() {
        eprintln!("said: {error}");
    }
}

/// Says to the test of what is meant for others that it is the child.
const OTHERS: &str = "PASSED_SOCKETS_OF_OTHERS";

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    if std::env::var_os(OTHERS).is_some() {
        let passed = PassedSockets::from_environment().unwrap();
        assert!(passed.names().is_empty());
        return;
    }
    let name = "passed::passed_test::what_is_meant_for_another_process_is_left_alone";
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", name]).env(OTHERS, "").env("LISTEN_FDS", "2");
    let output = test.env("LISTEN_PID", "1").env("LISTEN_FDNAMES", "client:web").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn in_child(name: &str, check: impl FnOnce(&str)) {
    match std::env::var(ROLE) {
        Ok(role) => play(&role),
        Err(_) => check(name),
    }
}

#[test]
fn sockets_come_by_name() {
    in_child("passed::passed_test::sockets_come_by_name", |test| {
        let said = child(test, "federation,client", "client:federation", 2);
        assert!(said.contains("names: [\"client\", \"federation\"]"), "{said}");
        assert!(said.contains("took: client 127.0.0.1:"), "{said}");
        assert!(said.contains("took: federation unix:/"), "{said}");
        assert!(!said.contains("said:"), "{said}");
    });
}

#[test]
fn one_name_may_have_several_sockets() {
    in_child("passed::passed_test::one_name_may_have_several_sockets", |test| {
        let said = child(test, "client", "client:client", 2);
        assert_eq!(said.matches("took: client ").count(), 2, "{said}");
        assert!(!said.contains("said:"), "{said}");
    });
}

#[test]
fn unexpected_and_missing_names_are_errors() {
    in_child("passed::passed_test::unexpected_and_missing_names_are_errors", |test| {
        let said = child(test, "client,metrics", "client:clinet", 2);
        assert!(said.contains("no socket named \"metrics\" (it passed: clinet)"), "{said}");
        assert!(said.contains("no listener uses: clinet"), "{said}");
    });
}

#[test]
fn what_is_no_listening_socket_is_an_error() {
    in_child("passed::passed_test::what_is_no_listening_socket_is_an_error", |test| {
        let said = child(test, "client", "client:other:third", 3);
        assert!(said.contains("\"third\" that the service manager passed"), "{said}");
        let said = child(test, "client", "client:other:third:fourth", 4);
        assert!(said.contains("cannot take the sockets"), "{said}");
    });
}

#[test]
fn a_connected_socket_does_not_listen() {
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(must_listen(&socket).unwrap_err().to_string().contains("does not listen"));
}

#[test]
fn names_and_sockets_must_be_as_many() {
    in_child("passed::passed_test::names_and_sockets_must_be_as_many", |test| {
        let said = child(test, "client", "client", 2);
        assert!(said.contains("cannot take the sockets"), "{said}");
    });
}

#[test]
fn nothing_passed_is_no_error() {
    let mut passed = PassedSockets::none();
    assert!(passed.names().is_empty());
    let error = passed.take("client").unwrap_err().to_string();
    assert!(error.contains("it passed: none"), "{error}");
    passed.finish().unwrap();
}
