//! The broker, and servers that have no network of their own. Needs the right to make a network
//! namespace, which root has.

use std::{
    fs,
    net::TcpListener,
    os::{
        fd::AsFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixDatagram, UnixListener},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

use crate::machine::{Machine, Ran};

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");
const EGRESS: &str = "MATRIX_HOMESERVER_EGRESS";
/// `EX_CONFIG`.
const BAD_CONFIGURATION: i32 = 78;
/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// A process whose log is read; killed when it is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has the text that often.
    pub(crate) fn wait_for(&mut self, text: &str, times: usize) {
        let start = Instant::now();
        while self.log().matches(text).count() < times {
            let ended = self.child.try_wait().unwrap();
            let in_time = ended.is_none() && start.elapsed() < PATIENCE;
            assert!(in_time, "no {text} in ({ended:?}):\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration that needs no network; `more` can hold tables.
pub(crate) fn configure(machine: &Machine, more: &str) {
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [[listeners]]\nbind = [\"unix:{}\"]\n{more}\n",
        machine.text("state"),
        machine.text("client.sock"),
    );
    machine.write("homeserver.toml", &text, 0o644);
}

pub(crate) fn command(machine: &Machine, arguments: &[&str]) -> Command {
    let config = machine.text("homeserver.toml");
    let mut all = arguments.to_vec();
    all.extend(["--config", config.as_str()]);
    machine.command(Path::new(BINARY), &all)
}

pub(crate) fn broker(machine: &Machine) -> Process {
    let socket = machine.text("broker.sock");
    let command = command(machine, &["egress-broker", "--socket", &socket]);
    // The log of an earlier one may be there.
    let log = fs::read_to_string(machine.path("broker.log")).unwrap_or_default();
    let mut broker = Process::start(command, machine.path("broker.log"));
    broker.wait_for("connects for others", log.matches("connects for others").count() + 1);
    broker
}

/// A server in a network namespace that has no interface, but for the loopback that is down.
pub(crate) fn server_without_network(machine: &Machine) -> Process {
    let inner = command(machine, &["serve"]);
    let mut command = Command::new("unshare");
    command.arg("--net").arg(inner.get_program()).args(inner.get_args());
    command.env(EGRESS, machine.path("broker.sock"));
    command.env("SSL_CERT_FILE", machine.path("cert.pem"));
    let mut server = Process::start(command, machine.path("log"));
    server.wait_for("the server answers requests", 1);
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    assert_ne!(namespace(&server.child.id().to_string()), namespace("self"));
    server
}

/// A server of TLS for `localhost` at 127.0.0.1, whose certificate lies in cert.pem; its port.
fn tls_server(machine: &Machine) -> u16 {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    machine.write("cert.pem", &cert.pem(), 0o644);
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let config = Arc::new(config);
        for stream in listener.incoming() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // Whoever does not trust the certificate goes in the middle of it.
            let _ = connection.complete_io(&mut stream.unwrap());
        }
    });
    port
}

fn check_connection(machine: &Machine, port: u16) -> Ran {
    machine.run_configured(&["check-connection", &format!("localhost:{port}")])
}

const LOOPBACK: &str = "[egress]\nip_range_allowlist = [\"127.0.0.0/8\"]\n";

#[test]
fn a_server_without_a_network_connects_through_the_broker() {
    let machine = Machine::new();
    configure(&machine, LOOPBACK);
    let port = tls_server(&machine);
    let mut broker = broker(&machine);
    broker.wait_for("the sandbox is closed: files", 1);
    let server = server_without_network(&machine);

    let checked = check_connection(&machine, port);
    let said = checked.ok();
    let way =
        format!("localhost port {port}, through the broker at {}", machine.text("broker.sock"));
    assert!(said.starts_with(&way), "{said}");
    for line in [
        "address 127.0.0.1: connected",
        "certificate for localhost",
        "TLSv1.3: the certificate is trusted",
    ] {
        assert!(said.lines().any(|other| other == line), "{line}: {said}");
    }

    configure(&machine, "");
    broker.signal(Signal::SIGHUP);
    broker.wait_for("egress.ip_range_allowlist = [] is in force", 1);
    let refused = check_connection(&machine, port);
    assert!(refused.output.contains("address 127.0.0.1: denied: it lies in 127.0.0.0/8"));
    let line = refused.failed(1);
    assert!(line.contains("leads only to addresses that are denied ("), "{line}");
    broker.wait_for("refused a connection into a denied range", 1);

    configure(&machine, "[egress]\nip_range_allowlist = [\"127.0.0.1/8\"]\n");
    broker.signal(Signal::SIGHUP);
    broker.wait_for("homeserver.toml:7: `egress.ip_range_allowlist` cannot be used", 1);
    assert_eq!(check_connection(&machine, port).status, Some(1));
    assert_eq!(broker.stop(), Some(0));
    assert!(!machine.path("broker.sock").exists());
    drop(server);
}

#[test]
fn a_broker_that_is_gone_is_named_and_used_when_it_is_back() {
    let machine = Machine::new();
    configure(&machine, LOOPBACK);
    let port = tls_server(&machine);
    let server = server_without_network(&machine);
    let gone = check_connection(&machine, port);
    let line = gone.failed(1);
    let expected = format!("connected to by the broker at {}", machine.text("broker.sock"));
    assert!(line.contains(&expected) && line.contains("No such file"), "{line}");
    let broker = broker(&machine);
    check_connection(&machine, port).ok();
    drop(broker);
    // Killed, it leaves its socket behind.
    let gone = check_connection(&machine, port);
    assert!(gone.failed(1).contains("Connection refused"), "{gone:?}");
    let _broker = self::broker(&machine);
    check_connection(&machine, port).ok();
    drop(server);
}

#[test]
fn a_server_with_a_network_goes_by_the_same_ranges() {
    let machine = Machine::new();
    machine.configure(LOOPBACK);
    let port = tls_server(&machine);
    let server = machine.serve();
    let distrusted = check_connection(&machine, port);
    assert!(distrusted.output.contains("without a broker"), "{distrusted:?}");
    assert!(distrusted.output.contains("certificate for localhost"), "{distrusted:?}");
    let line = distrusted.failed(1);
    assert!(line.contains("was reached, but not by TLS: invalid peer certificate"), "{line}");
    machine.configure("");
    server.signal(Signal::SIGHUP);
    server.wait_for_log("egress.ip_range_allowlist = [] is in force");
    let refused = check_connection(&machine, port);
    assert!(refused.failed(1).contains("addresses that are denied"), "{refused:?}");
    let nowhere = machine.run_configured(&["check-connection", "nowhere.invalid"]);
    assert!(nowhere.failed(1).contains("cannot resolve nowhere.invalid"), "{nowhere:?}");
    drop(server);
}

#[test]
fn what_needs_a_network_is_refused_with_its_line_and_the_reason() {
    let machine = Machine::new();
    let run = |arguments: &[&str], egress: &str| {
        let mut command = command(&machine, arguments);
        Ran::from(command.env(EGRESS, egress).output().unwrap())
    };
    let tcp = "[[listeners]]\nbind = [\"passed:x\", \"127.0.0.1:80\"]\n";
    for (more, place, reason) in [
        (tcp, "homeserver.toml:7: `listeners.bind` 127.0.0.1:80 needs the network", "socket unit"),
        (
            "[database]\nurl = \"postgresql://db.example/x\"\n",
            "homeserver.toml:7: `database.url` leads over the network",
            "unix socket",
        ),
    ] {
        configure(&machine, more);
        for ran in [
            run(&["serve"], "/run/broker.sock"),
            run(&["config", "check"], "/run/broker.sock"),
            run(&["config", "check", "--service"], ""),
        ] {
            let line = ran.failed(BAD_CONFIGURATION);
            assert!(line.contains(place) && line.contains(reason), "{line}");
            assert!(line.contains("which a server with a broker does not have"), "{line}");
        }
        run(&["config", "check"], "").ok();
    }
    // What nobody wrote is refused where no socket was passed.
    let text = format!(
        "server_name = \"a.example\"\nreport_stats = false\nstate_directory = \"{}\"\n",
        machine.text("state")
    );
    machine.write("homeserver.toml", &text, 0o644);
    run(&["config", "check"], "/run/broker.sock").ok();
    let ran = run(&["serve"], "/run/broker.sock");
    assert!(ran.failed(1).contains("passed no socket named client or federation"), "{ran:?}");
    // A range that is none is refused with and without a broker.
    configure(&machine, "[egress]\nip_range_denylist = [\"10.0.0.0/33\"]\n");
    let line = "homeserver.toml:7: `egress.ip_range_denylist` cannot be used: \"10.0.0.0/33\" is \
                no IP range: the prefix is longer than the address";
    assert!(run(&["config", "check"], "").failed(BAD_CONFIGURATION).ends_with(line));
    let broker = run(&["egress-broker", "--socket", "broker.sock"], "");
    assert!(broker.failed(BAD_CONFIGURATION).ends_with(line), "{broker:?}");
}

#[test]
fn a_reload_refuses_what_the_start_refuses() {
    let machine = Machine::new();
    configure(&machine, "");
    machine.write("cert.pem", "", 0o644);
    let mut server = server_without_network(&machine);
    machine.write("conf.d/10.toml", "[[listeners]]\nbind = [\"127.0.0.1:8008\"]\n", 0o644);
    server.signal(Signal::SIGHUP);
    server.wait_for("the new configuration is not used: ", 1);
    assert!(server.log().contains("10.toml:2: `listeners.bind` 127.0.0.1:8008 needs the network"));
    machine.write("conf.d/10.toml", "[egress]\nconnect_timeout = \"3s\"\n", 0o640);
    server.signal(Signal::SIGHUP);
    server.wait_for("10.toml:2: `egress.connect_timeout` is the broker's to read", 1);
    machine.write("conf.d/10.toml", "[egress]\nconnect_timeout = \"3s\"\n", 0o644);
    server.signal(Signal::SIGHUP);
    server.wait_for("egress.connect_timeout = \"3s\" is in force", 1);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_broker_needs_no_secret() {
    let machine = Machine::new();
    let secrets = "[registration]\nshared_secret_file = \"secret\"\n\
                   [database]\nurl = \"postgresql:///x\"\npassword_file = \"nowhere\"\n";
    configure(&machine, &format!("{secrets}{LOOPBACK}"));
    machine.write("conf.d/20.toml", "[turn]\nshared_secret = \"s\"\n", 0o600);
    let open = |name: &str, mode| {
        fs::set_permissions(machine.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    open("", 0o755);
    fs::create_dir(machine.path("run")).unwrap();
    open("run", 0o777);
    let socket = machine.text("run/broker.sock");
    let mut command = command(&machine, &["egress-broker", "--socket", &socket]);
    command.uid(NOBODY).gid(NOBODY);
    let mut broker = Process::start(command, machine.path("broker.log"));
    broker.wait_for("connects for others", 1);
    broker.wait_for("this user may not read the file", 1);
    assert!(broker.log().contains("conf.d/20.toml"), "{}", broker.log());
    broker.signal(Signal::SIGHUP);
    broker.wait_for("this user may not read the file", 2);
    assert_eq!(broker.stop(), Some(0));
}

/// A command to which the socket is passed by this name.
pub(crate) fn passing(inner: &Command, name: &str, listener: &impl AsFd) -> Command {
    // The shell gives its own process number to what it turns into.
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(inner.get_program()).args(inner.get_args());
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name);
    command.stdin(Stdio::from(listener.as_fd().try_clone_to_owned().unwrap()));
    command
}

#[test]
fn the_broker_takes_its_socket_from_the_service_manager_and_tells_it_how_it_is() {
    let machine = Machine::new();
    configure(&machine, "");
    let socket = UnixDatagram::bind(machine.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let listener = UnixListener::bind(machine.path("broker.sock")).unwrap();
    let inner = command(&machine, &["egress-broker"]);
    let start = |name: &str| {
        let mut command = passing(&inner, name, &listener);
        command.env("NOTIFY_SOCKET", machine.path("notify")).env("WATCHDOG_USEC", "200000");
        command.env_remove("WATCHDOG_PID");
        command
    };
    let wrong = Ran::from(start("client").output().unwrap());
    assert!(
        wrong.failed(1).contains("no socket named \"egress\" (it passed: client)"),
        "{wrong:?}"
    );

    let broker = Process::start(start("egress"), machine.path("broker.log"));
    let wait_for = |wanted: &str| {
        loop {
            let mut buffer = [0; 4096];
            let length = socket.recv(&mut buffer).expect(wanted);
            let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if told.lines().any(|line| line == wanted) {
                return;
            }
        }
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    broker.signal(Signal::SIGHUP);
    wait_for("RELOADING=1");
    wait_for("READY=1");
    broker.signal(Signal::SIGTERM);
    wait_for("STOPPING=1");
    let mut broker = broker;
    assert_eq!(broker.child.wait().unwrap().code(), Some(0));
    // The service manager's socket is not the broker's to remove.
    assert!(machine.path("broker.sock").exists());
}
