//! Sockets that the service manager holds: they are taken by their name, and a restart loses no
//! connection.

use std::{
    fs::File,
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
};

use tests::harness::{Client, Protocol, Target, find_binary};

/// Descriptors 3 and 4 are the socket that came as the standard input; the shell's own number is
/// that of the server, which takes its place.
const PASS: &str = "exec 3<&0 4<&0 0</dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";

/// A server that is killed at the latest when the test ends.
struct Activated(Child);

impl Activated {
    fn start(directory: &Path, socket: &TcpListener, names: &[&str]) -> Self {
        let passed = OwnedFd::from(socket.try_clone().expect("a second descriptor"));
        let log = File::create(directory.join("log")).expect("a log file");
        let mut command = Command::new("sh");
        command.args(["-c", PASS]).arg(find_binary()).args(["serve", "--config"]);
        command.arg(directory.join("homeserver.toml"));
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.stdin(Stdio::from(passed)).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().expect("there is a shell"))
    }

    fn kill(&mut self) {
        self.0.kill().expect("the child is ours");
        self.0.wait().expect("the child is ours");
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A configuration that says nothing about listeners.
fn configured() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "server_name = \"server.test\"\nreport_stats = false\nstate_directory = \"{}\"\n",
        directory.path().display()
    );
    std::fs::write(directory.path().join("homeserver.toml"), text).expect("the file is ours");
    directory
}

#[tokio::test]
async fn a_passed_socket_outlives_its_server() {
    let directory = configured();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = Target::Tcp(socket.local_addr().expect("an address"));
    let versions = "/_matrix/client/versions";

    // The first request is made before there is a server.
    let client = Client::new(target.clone(), Protocol::Http1);
    let waiting = tokio::spawn(async move { client.get(versions).await });
    let mut server = Activated::start(directory.path(), &socket, &["client"]);
    assert!(waiting.await.expect("an answer").ok()["versions"].is_array());

    server.kill();
    let client = Client::new(target, Protocol::Http1);
    let waiting = tokio::spawn(async move { client.get(versions).await });
    let _server = Activated::start(directory.path(), &socket, &["client"]);
    assert!(waiting.await.expect("an answer").ok()["versions"].is_array());
}

#[test]
fn a_socket_with_an_unknown_name_is_refused() {
    let directory = configured();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut server = Activated::start(directory.path(), &socket, &["client", "clinet"]);
    let status = server.0.wait().expect("the child is ours");
    assert!(!status.success());
    let said = std::fs::read_to_string(directory.path().join("log")).expect("a log");
    assert!(said.contains("no listener uses: clinet"), "{said}");
}

#[tokio::test]
async fn a_passed_socket_for_metrics_is_answered_whatever_the_configuration_says() {
    let directory = configured();
    let file = directory.path().join("homeserver.toml");
    let text = std::fs::read_to_string(&file).expect("the file is ours");
    let place = directory.path().display();
    let text = format!("{text}[[listeners]]\nbind = [\"unix:{place}/sock\"]\n");
    std::fs::write(&file, text).expect("the file is ours");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = Target::Tcp(socket.local_addr().expect("an address"));
    let _server = Activated::start(directory.path(), &socket, &["metrics"]);
    let client = Client::new(target, Protocol::Http1);
    let told = client.get("/metrics").await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert!(told.text().contains("\nmatrix_homeserver_build_info{"), "{}", told.text());
    assert_eq!(client.get("/_matrix/client/versions").await.status, 404);
}
