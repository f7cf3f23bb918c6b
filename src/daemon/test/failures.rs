//! What is wrong is said in one clear line, with an exit status that is not zero.

use std::{
    fs::{self, File, Permissions},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::AsFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::Path,
};

use crate::{
    egress::{command, passing},
    machine::{Machine, Ran},
    manager::Manager,
};

/// `EX_CONFIG`.
const BAD_CONFIGURATION: i32 = 78;

#[test]
fn a_missing_configuration() {
    let machine = Machine::new();
    let ran = machine.run(&["serve", "--config", "nowhere.toml"]);
    let line = ran.failed(BAD_CONFIGURATION);
    assert!(line.contains("cannot read nowhere.toml: No such file"), "{line}");
}

#[test]
fn an_unreadable_configuration() {
    let machine = Machine::new();
    fs::create_dir(machine.path("directory.toml")).unwrap();
    let ran = machine.run(&["serve", "-c", "directory.toml"]);
    assert!(ran.failed(BAD_CONFIGURATION).ends_with("it is a directory"), "{ran:?}");
}

#[test]
fn every_problem_of_a_configuration_has_its_line() {
    let machine = Machine::new();
    machine.configure("colour = 1\nlog = { level = \"loud\" }");
    for command in [&["serve"][..], &["config", "check"], &["config", "show"], &["user", "list"]] {
        let ran = machine.run_configured(command);
        let line = ran.failed(BAD_CONFIGURATION);
        assert!(line.ends_with("homeserver.toml:4: unknown key `colour`"), "{line}");
    }
    machine.configure("database = { url = \"postgresql:///x?hst=/run\" }");
    for command in [&["serve"][..], &["config", "check"]] {
        let ran = machine.run_configured(command);
        let line = ran.failed(BAD_CONFIGURATION);
        assert!(line.contains("toml:4: `database.url` is not usable: ") && line.contains("hst"));
    }
    machine.configure("log = { level = \"loud\" }\nadmin = { socket = \"/x/../\" }");
    let ran = machine.run_configured(&["config", "check"]);
    let line = ran.failed(BAD_CONFIGURATION);
    assert!(line.contains("homeserver.toml:4: `log.level` expects error, warn"), "{line}");
}

#[test]
fn addresses_and_certificates_are_checked_before_the_start() {
    let machine = Machine::new();
    let text = "server_name = \"a.example\"\nreport_stats = false\n\
                [[listeners]]\nbind = [\"localhost:80\"]\n\
                tls = { certificate = \"/nowhere\", private_key = \"/nowhere\" }\n";
    machine.write("homeserver.toml", text, 0o600);
    let ran = machine.run_configured(&["config", "check"]);
    assert_eq!(ran.status, Some(BAD_CONFIGURATION));
    assert!(ran.errors.contains("homeserver.toml:4: `listeners.bind`"), "{}", ran.errors);
    assert!(ran.errors.contains("homeserver.toml:5: `listeners.tls.certificate`"), "{ran:?}");
}

#[test]
fn a_server_that_was_used_keeps_its_name() {
    let machine = Machine::new();
    let rename = |from: &str, to: &str| {
        let text = fs::read_to_string(machine.path("homeserver.toml")).unwrap();
        machine.write("homeserver.toml", &text.replace(from, to), 0o600);
    };
    // Nobody was made yet.
    machine.configure("");
    assert_eq!(machine.serve().stop(), Some(0));
    rename("test.example", "first.example");
    let mut server = machine.serve();
    let config = machine.text("homeserver.toml");
    let arguments = ["user", "create", "alice", "--config", &config];
    let program = Path::new(env!("CARGO_BIN_EXE_matrix-homeserver"));
    machine.run_as(program, &arguments, "a password of a test\n").ok();
    assert_eq!(server.stop(), Some(0));
    rename("first.example", "second.example");
    let ran = machine.run_configured(&["serve"]);
    let line = ran.failed(BAD_CONFIGURATION);
    let expected = "homeserver.toml:1: `server_name` is second.example, but the database has users \
                    of first.example";
    assert!(line.contains(expected), "{line}");
    rename("second.example", "first.example");
    assert_eq!(machine.serve().stop(), Some(0));
}

#[test]
fn a_port_in_use() {
    let machine = Machine::new();
    let listener = TcpListener::bind(("127.0.0.1", machine.port)).unwrap();
    let ran = machine.run_configured(&["serve"]);
    let line = ran.failed(1);
    let expected = format!("cannot listen on 127.0.0.1:{}: the address is in use", machine.port);
    assert!(line.contains(&expected), "{line}");
    drop(listener);
}

#[test]
fn clients_that_take_every_connection_leave_what_the_server_needs() {
    let machine = Machine::new();
    let config = machine.text("homeserver.toml");
    let script = "ulimit -n 64; exec \"$0\" serve -c \"$1\"";
    let program = env!("CARGO_BIN_EXE_matrix-homeserver");
    let command = machine.command(Path::new("sh"), &["-c", script, program, &config]);
    let mut manager = Manager::of(&machine, command);
    manager.until("READY=1\n");
    let told = "may have 64 files open (LimitNOFILE= of the unit, ulimit -n), so that it takes 16";
    assert!(machine.log().contains(told), "{}", machine.log());
    let clients: Vec<_> =
        (0..100).map(|_| TcpStream::connect(("127.0.0.1", machine.port)).unwrap()).collect();
    let taken = "all connections are taken; others wait";
    manager.until("STATUS=version");
    while !machine.log().contains(taken) {
        std::thread::yield_now();
    }
    let socket = machine.text("admin.sock");
    // A command has a connection of its own, and a reload reads files.
    let ran = machine.run(&["reload", "--socket", &socket]);
    assert_eq!(ran.ok(), "the configuration was read again");
    assert!(!machine.log().contains("Too many open files"), "{}", machine.log());
    drop(clients);
    assert_eq!(machine.request("GET /health", None).0, 200);
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn other_servers_that_would_find_no_tls() {
    const TOLD: &str = "answers plain HTTP, but other servers speak TLS";
    for (host, is_told) in [("0.0.0.0", true), ("127.0.0.1", false)] {
        let machine = Machine::new();
        let text = format!(
            "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n",
            machine.text("state")
        );
        machine.write("homeserver.toml", &text, 0o600);
        let listener = TcpListener::bind((host, 0)).unwrap();
        let inner = passing(&command(&machine, &["serve"]), "federation", &listener);
        let mut manager = Manager::of(&machine, inner);
        manager.until("READY=1\n");
        assert_eq!(machine.log().contains(TOLD), is_told, "{}", machine.log());
        assert_eq!(manager.stop(), Some(0));
    }
}

#[test]
fn a_database_that_is_not_there() {
    let machine = Machine::new();
    for url in [
        "sqlite:///nowhere/homeserver.db",
        "postgresql:///nothing?host=/nowhere",
        "postgresql://nobody@127.0.0.1:1/nothing",
    ] {
        machine.configure(&format!("database = {{ url = \"{url}\", wait_timeout = \"1s\" }}"));
        let ran = machine.run_configured(&["serve"]);
        let line = ran.failed(1);
        assert!(line.contains("cannot open the database"), "{line}");
    }
}

#[test]
fn a_database_that_another_server_uses() {
    let machine = Machine::new();
    let server = machine.serve();
    let second = Machine::new();
    let url = format!("sqlite://{}", machine.text("homeserver.db"));
    second.configure(&format!("database = {{ url = \"{url}\" }}"));
    let ran = second.run_configured(&["serve"]);
    assert!(ran.failed(1).contains("is in use by another node"), "{ran:?}");
    drop(server);
}

#[test]
fn a_signing_key_that_is_none() {
    let machine = Machine::new();
    machine.write("signing.key", "nonsense\n", 0o600);
    let ran = machine.run_configured(&["serve"]);
    assert!(ran.failed(1).contains("cannot use the signing key"), "{ran:?}");
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let machine = Machine::new();
    symlink("/dev/null", machine.path("null")).unwrap();
    let path = machine.text("null/state");
    let text = format!(
        "server_name = \"a.example\"\nreport_stats = false\nstate_directory = \"{path}\"\n"
    );
    machine.write("homeserver.toml", &text, 0o600);
    let ran = machine.run_configured(&["serve"]);
    assert!(ran.failed(1).contains("cannot make the state directory"), "{ran:?}");
}

#[test]
fn a_command_line_that_is_wrong() {
    let machine = Machine::new();
    for arguments in [&[][..], &["sevre"], &["serve", "--colour"], &["user", "create"]] {
        assert_eq!(machine.run(arguments).status, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_server_that_does_not_run() {
    let machine = Machine::new();
    let ran = machine.run_configured(&["user", "list"]);
    assert!(ran.failed(1).contains("cannot reach the server at"), "{ran:?}");
    let arguments = ["register-user", "-u", "a", "-p", "b", "--no-admin"];
    let ran = machine.run_configured(&arguments);
    assert!(ran.failed(1).contains("cannot reach the server at http://127.0.0.1:"), "{ran:?}");
}

#[test]
fn sockets_that_nobody_expects() {
    let machine = Machine::new();
    let text = format!(
        "server_name = \"a.example\"\nreport_stats = false\nstate_directory = \"{}\"\n",
        machine.text("state")
    );
    machine.write("homeserver.toml", &text, 0o600);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = File::open("/dev/null").unwrap();
    let refused = |name: &str, passed: &dyn AsFd, count: &str| {
        let passed = passed.as_fd();
        let mut command = passing(&command(&machine, &["serve"]), name, &passed);
        command.env("LISTEN_FDS", count);
        Ran::from(command.output().unwrap()).failed(1).to_owned()
    };
    let cannot = "the socket \"client\" that the service manager passed cannot be used: ";
    let variables = "cannot take the sockets that the service manager passed: ";
    let (datagrams, connected): (&dyn AsFd, &dyn AsFd) = (&datagrams, &connected);
    for (name, passed, count, expected) in [
        // Two names for one socket, and one for two.
        ("client:admin", &listener as &dyn AsFd, "1", variables),
        ("client", &listener, "2", variables),
        ("client", &listener, "many", variables),
        ("client", &file, "1", cannot),
        ("client", datagrams, "1", cannot),
        // A socket unit with Accept=yes.
        ("client", connected, "1", "cannot be used: the socket does not listen"),
    ] {
        let line = refused(name, passed, count);
        assert!(line.contains(expected), "{name} {count}: {line}");
    }
    // Without a name it would not be known what to answer there.
    machine.configure("");
    for name in ["stranger", "unknown", "client"] {
        let line = refused(name, &listener, "1");
        let expected = format!("the service manager passed sockets that no listener uses: {name}");
        assert!(line.contains(&format!("{expected}; name each in a [[listeners]]")), "{line}");
    }
}

#[test]
fn a_configuration_directory_without_rights() {
    let machine = Machine::new();
    fs::create_dir(machine.path("conf.d")).unwrap();
    let serve = |arguments: &[&str]| {
        // Not even the superuser may, without these capabilities.
        let drop = "--bounding-set=-dac_override,-dac_read_search";
        let inner = command(&machine, arguments);
        let mut command = machine.command(Path::new("unshare"), &["-r", "setpriv", drop]);
        command.arg("--inh-caps=-all").arg(inner.get_program()).args(inner.get_args());
        command
    };
    let close = |name: &str, mode| {
        fs::set_permissions(machine.path(name), Permissions::from_mode(mode)).unwrap();
    };
    let mut manager = Manager::of(&machine, serve(&["serve"]));
    manager.until("READY=1\n");
    machine.write("conf.d/10.toml", "[limits]\nstreams = 90\n", 0o600);
    for (name, open) in [("conf.d", 0o700), ("conf.d/10.toml", 0o600), ("secret", 0o600)] {
        close(name, 0);
        let (status, _) = manager.reload();
        assert!(status.starts_with("READY=1\nSTATUS=RELOAD REFUSED"), "{name}: {status}");
        let place = machine.text(name);
        assert!(status.contains(&place) && status.contains("Permission denied"), "{status}");
        let started = Ran::from(serve(&["serve"]).output().unwrap());
        let line = started.failed(BAD_CONFIGURATION);
        assert!(line.contains(&place) && line.contains("Permission denied"), "{line}");
        close(name, open);
    }
    assert!(!manager.reload().0.contains("REFUSED"));
    assert!(machine.log().contains("limits.streams = 90 is in force"), "{}", machine.log());
    assert_eq!(manager.stop(), Some(0));
}
