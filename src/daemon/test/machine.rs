//! A directory with a configuration, and the built program run on it.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");
/// The shared secret of every configuration.
pub(crate) const SECRET: &str = "the-shared-secret";
/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A directory of its own, with a free port.
pub(crate) struct Machine {
    directory: TempDir,
    pub(crate) port: u16,
}

impl Machine {
    /// With a configuration that works.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let machine = Self { directory: tempfile::tempdir().unwrap(), port };
        machine.write("secret", SECRET, 0o600);
        machine.configure("");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes the configuration; `more` can hold keys of the top and further tables.
    pub(crate) fn configure(&self, more: &str) {
        self.configure_state(self.directory.path(), more, 0o644);
    }

    /// The same with a directory for its state alone, which may get a disk of its own.
    pub(crate) fn configure_apart(&self, more: &str) {
        fs::create_dir(self.path("state")).unwrap();
        self.configure_state(&self.path("state"), more, 0o600);
    }

    fn configure_state(&self, directory: &Path, more: &str, mode: u32) {
        let directory = directory.display();
        let text = format!(
            "server_name = \"test.example\"\nreport_stats = false\n\
             state_directory = \"{directory}\"\n{more}\n\
             [[listeners]]\nbind = [\"127.0.0.1:{}\"]\n\
             [registration]\nshared_secret_file = \"secret\"\n",
            self.port
        );
        self.write("homeserver.toml", &text, mode);
    }

    /// The program with arguments, without anything of a service manager.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        for name in ["CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "LISTEN_FDS", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as(Path::new(BINARY), arguments, "")
    }

    /// The same under another name, with something on standard input.
    pub(crate) fn run_as(&self, program: &Path, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(program, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever does not read it closes it, which is no failure here.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::from(child.wait_with_output().unwrap())
    }

    /// Runs the program with the configuration of this machine.
    pub(crate) fn run_configured(&self, arguments: &[&str]) -> Ran {
        let config = self.text("homeserver.toml");
        let mut all = arguments.to_vec();
        all.extend(["--config", config.as_str()]);
        self.run(&all)
    }

    /// A link by which the program has another name.
    pub(crate) fn link(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::os::unix::fs::symlink(BINARY, &path).unwrap();
        path
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn serve(&self) -> Server<'_> {
        self.serve_configured("homeserver.toml")
    }

    /// The same with another configuration of this machine.
    pub(crate) fn serve_configured(&self, config: &str) -> Server<'_> {
        let config = self.text(config);
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(Path::new(BINARY), &["serve", "--config", &config]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut server = Server { machine: self, child };
        let start = Instant::now();
        loop {
            if self.try_request("GET /health", None).is_some_and(|(status, _)| status == 200) {
                return server;
            }
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "{ended:?}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Sends `METHOD PATH` with a JSON body: the status and the JSON of the answer.
    pub(crate) fn request(&self, line: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, text) = self.try_request(line, body).expect("an answer");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    pub(crate) fn try_request(&self, line: &str, body: Option<&Value>) -> Option<(u16, String)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    /// Syncs once: the token to go on from.
    pub(crate) fn sync(&self, token: &str, since: Option<&str>) -> String {
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let path = format!("/_matrix/client/v3/sync?access_token={token}{since}");
        let (status, body) = self.request(&format!("GET {path}"), None);
        assert_eq!(status, 200, "{body}");
        body["next_batch"].as_str().unwrap().to_owned()
    }

    /// Logs in: the status and the answer.
    pub(crate) fn log_in(&self, user: &str, password: &str) -> (u16, Value) {
        let body = serde_json::json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": password,
        });
        self.request("POST /_matrix/client/v3/login", Some(&body))
    }
}

/// A running server; killed when it is dropped.
pub(crate) struct Server<'a> {
    machine: &'a Machine,
    pub(crate) child: Child,
}

impl Server<'_> {
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Ends it in order; its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }

    /// Waits for something in the log.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let start = Instant::now();
        while !self.machine.log().contains(text) {
            assert!(start.elapsed() < PATIENCE, "no {text} in:\n{}", self.machine.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// It succeeded; what it printed.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.output.trim_end()
    }

    /// It failed with this status and one line; the line.
    pub(crate) fn failed(&self, status: i32) -> &str {
        assert_eq!(self.status, Some(status), "{self:?}");
        let lines: Vec<_> = self.errors.lines().collect();
        let said: Vec<_> =
            lines.iter().filter(|line| line.starts_with("matrix-homeserver: ")).collect();
        assert_eq!(said.len(), 1, "{self:?}");
        said[0]
    }
}
