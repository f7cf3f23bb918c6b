//! A server under test from its start to its end.

use std::{
    net::SocketAddr,
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use hyper::{Method, StatusCode};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{
    Client, Protocol, Setup, Target, TestUser, address::unused_address, find_binary,
    process::Process, user,
};

/// How long a start may take on a busy machine.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// A running server with its directory. Dropping it ends the process and removes the directory;
/// when a test fails, the log is printed first.
pub struct Server {
    // Dropped in this order: the process before its directory.
    process: Process,
    directory: TempDir,
    address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(directory, setup).await
    }

    /// As [`Self::start`], in a directory that the test has put something into.
    pub async fn start_in(directory: TempDir, setup: Setup) -> Self {
        let address = unused_address();
        setup.write(directory.path(), address);
        let process = spawn(directory.path());
        let mut server = Self { process, directory, address };
        server.wait_for_health().await;
        server
    }

    /// Starts a server that must fail to start: its exit status and what it said.
    pub async fn start_failing(setup: &Setup) -> (ExitStatus, String) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        setup.write(directory.path(), unused_address());
        let mut process = spawn(directory.path());
        let start = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                return (status, process.log());
            }
            assert!(start.elapsed() < START_TIMEOUT, "it runs:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The address of the usual listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory with configuration, data and log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The number of the process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// All that the server said since its first start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A client over HTTP/1.1.
    pub fn client(&self) -> Client {
        Client::new(Target::Tcp(self.address), Protocol::Http1)
    }

    /// A client over HTTP/2 with prior knowledge.
    pub fn http2_client(&self) -> Client {
        Client::new(Target::Tcp(self.address), Protocol::Http2)
    }

    /// Registers an ordinary user.
    pub async fn register_user(&self, name: &str) -> TestUser {
        user::register(&self.client(), name, false).await
    }

    /// Registers an administrator.
    pub async fn register_admin(&self, name: &str) -> TestUser {
        user::register(&self.client(), name, true).await
    }

    /// Ends the process at once (`SIGKILL`), as a power cut would; [`Self::start_again`] follows.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends the process in order (`SIGTERM`) and gives its exit status.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// Sends a signal, such as `SIGHUP` for a reload.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Starts the process again after [`Self::kill`] or [`Self::stop`]: same directory, same
    /// address.
    pub async fn start_again(&mut self) {
        assert!(self.process.ended().is_some(), "the server still runs");
        self.process = spawn(self.directory.path());
        self.wait_for_health().await;
    }

    /// Kills the process and starts it again.
    pub async fn restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    async fn wait_for_health(&mut self) {
        let start = Instant::now();
        loop {
            // A new client each time: one that has failed once tells nothing about the next try.
            let reply = self.client().try_send(Method::GET, "/health", None).await;
            if reply.is_ok_and(|reply| reply.status == StatusCode::OK) {
                return;
            }
            if let Some(status) = self.process.ended() {
                panic!("the server ended at its start ({status}); its log:\n{}", self.log());
            }
            assert!(start.elapsed() < START_TIMEOUT, "no health; the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server at {}:\n{}", self.address, self.log());
        }
    }
}

fn spawn(directory: &Path) -> Process {
    let configuration = directory.join("homeserver.toml");
    let configuration = configuration.to_str().expect("temporary directories have plain names");
    Process::start(&find_binary(), &["serve", "--config", configuration], directory)
}
