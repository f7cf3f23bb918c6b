//! A `PostgreSQL` server of the test's own, in a temporary directory, synced like a real one. It
//! never outlives the test: a small watchdog process holds the reading end of a pipe, which breaks
//! however the test process ends.

use std::{
    io::Read as _,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Gid, Pid, Uid, User, chown},
};
use parking_lot::Mutex;

use super::directory::Directory;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stops the server and cleans up once the test process is gone. `$1` is the cluster's directory.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    tries=0
    while [ -e "$1/data/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
fi
rm -rf "$1"
"#;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, what they were doing is rolled back.
    Fast,
    /// As if its machine had lost power.
    Immediate,
}

/// A server.
pub struct Cluster {
    directory: Directory,
    binaries: PathBuf,
    server: Mutex<Option<Child>>,
    databases: AtomicU32,
    options: Options,
    // Its end is the end of the pipe that the watchdog reads.
    watchdog: Child,
}

/// The port in the name of a socket, where nothing else is said.
const USUAL_PORT: u16 = 5432;

/// How a server differs from the usual one.
struct Options {
    /// The arguments of `strace`, if it shall run under it.
    tracing: Option<&'static [&'static str]>,
    /// Certificate and key in PEM, if it shall listen on [`Cluster::port`] too, encrypted.
    certificate: Option<(String, String)>,
    /// Whether it shall listen on [`Cluster::port`] too, where everybody shows a password.
    demands_passwords: bool,
    port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { tracing: None, certificate: None, demands_passwords: false, port: USUAL_PORT }
    }
}

impl Cluster {
    /// The one that all tests of this process share.
    ///
    /// # Panics
    /// If there is no `PostgreSQL` to start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts one of the caller's own, for tests that stop it.
    ///
    /// # Panics
    /// If there is no `PostgreSQL` to start.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts one that also listens on [`Cluster::port`] of `localhost`, with a certificate and its
    /// key in PEM.
    ///
    /// # Panics
    /// If there is no `PostgreSQL` to start, or no port.
    pub fn start_encrypted(certificate: String, key: String) -> Self {
        let certificate = Some((certificate, key));
        Self::start_with(Options { certificate, port: unused_port(), ..Options::default() })
    }

    /// Starts one that also listens on [`Cluster::port`] of `localhost`, not encrypted, and takes
    /// nobody there without a password.
    ///
    /// # Panics
    /// If there is no `PostgreSQL` to start, or no port.
    pub fn start_with_passwords() -> Self {
        let port = unused_port();
        Self::start_with(Options { demands_passwords: true, port, ..Options::default() })
    }

    /// Starts one under `strace`, which gets these arguments and then [`Cluster::trace`].
    ///
    /// # Panics
    /// If there is no `PostgreSQL` or no `strace` to start.
    pub fn start_traced(arguments: &'static [&'static str]) -> Self {
        Self::start_with(Options { tracing: Some(arguments), ..Options::default() })
    }

    fn start_with(options: Options) -> Self {
        let binaries = find_binaries();
        let directory = Directory::new("postgres");
        let owner = server_user();
        if let Some((user, group)) = owner {
            chown(directory.path(), Some(user), Some(group)).expect("root may give files away");
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), mode).expect("the directory is ours");
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "watchdog"]).arg(directory.path());
        watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A signal to the test's group must not reach it.
        watchdog.process_group(0);
        let watchdog = watchdog.spawn().expect("there is a shell");
        let (server, databases) = (Mutex::new(None), AtomicU32::new(0));
        let cluster = Self { directory, binaries, server, databases, options, watchdog };
        cluster.initialise();
        cluster.resume();
        cluster
    }

    /// Makes a new, empty database and gives back its address.
    ///
    /// # Panics
    /// If the server does not make it.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run_sql(&format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        let directory = self.directory.path().display().to_string().replace('/', "%2F");
        let port = if self.options.port == USUAL_PORT {
            String::new()
        } else {
            format!("&port={}", self.options.port)
        };
        format!("postgresql://postgres@/{database}?host={directory}{port}")
    }

    /// The socket that the server listens on.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(format!(".s.PGSQL.{}", self.options.port))
    }

    /// The port of `localhost` that it listens on, if it is encrypted or demands passwords.
    pub fn port(&self) -> u16 {
        self.options.port
    }

    /// The file that holds the server's trace, if it is traced.
    pub fn trace(&self) -> PathBuf {
        self.directory.path().join("trace")
    }

    /// Runs a statement in the database `postgres`, apart from any store.
    ///
    /// # Panics
    /// If it fails.
    pub fn run_sql(&self, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]);
        psql.arg(self.directory.path()).arg("-p").arg(self.options.port.to_string());
        psql.args(["-d", "postgres", "-c", sql]);
        run(&mut psql)
    }

    /// Stops the server.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&self, how: Stop) {
        let Some(mut server) = self.server.lock().take() else { return };
        let signal = match how {
            Stop::Fast => Signal::SIGINT,
            Stop::Immediate => Signal::SIGQUIT,
        };
        kill(self.postmaster(), signal).expect("the server is our child, or our child's");
        server.wait().expect("the server is our child");
    }

    /// Starts the server after a stop, and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn resume(&self) {
        let mut postgres = match self.options.tracing {
            None => self.command("postgres"),
            Some(arguments) => {
                let mut strace = self.as_server(Command::new("strace"));
                strace.args(arguments).arg(self.trace()).arg(self.binaries.join("postgres"));
                strace
            }
        };
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        for setting in [
            "fsync=on",
            "max_connections=200",
            "shared_buffers=64MB",
            "autovacuum=off",
            "logging_collector=off",
        ] {
            postgres.args(["-c", setting]);
        }
        postgres.arg("-p").arg(self.options.port.to_string());
        self.listen(&mut postgres);
        let log = std::fs::File::options().append(true).create(true).open(self.log());
        let log = log.expect("the server's log can be written");
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        postgres.process_group(0);
        let server = postgres.spawn().expect("the server starts");
        *self.server.lock() = Some(server);
        self.wait_until_ready();
    }

    fn listen(&self, postgres: &mut Command) {
        let Some((certificate, key)) = &self.options.certificate else {
            let addresses = if self.options.demands_passwords { "localhost" } else { "" };
            postgres.arg("-c").arg(format!("listen_addresses={addresses}"));
            return;
        };
        postgres.args(["-c", "listen_addresses=localhost", "-c", "ssl=on"]);
        for (name, setting, pem) in
            [("cert.pem", "ssl_cert_file", certificate), ("key.pem", "ssl_key_file", key)]
        {
            let path = self.directory.path().join(name);
            std::fs::write(&path, pem).expect("the directory is ours");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&path, mode).expect("the file is ours");
            if let Some((user, group)) = server_user() {
                chown(&path, Some(user), Some(group)).expect("root may give files away");
            }
            postgres.arg("-c").arg(format!("{setting}={}", path.display()));
        }
    }

    /// The server's first process.
    fn postmaster(&self) -> Pid {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"));
        let file = file.expect("a running server has its number written down");
        let number = file.lines().next().and_then(|line| line.parse().ok());
        Pid::from_raw(number.expect("the first line is a number"))
    }

    fn wait_until_ready(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut ready = self.command("pg_isready");
            ready.arg("-q").arg("-h").arg(self.directory.path());
            ready.arg("-p").arg(self.options.port.to_string());
            if ready.status().expect("pg_isready is there").success() {
                return;
            }
            let log = || std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < until, "the server does not answer:\n{}", log());
        }
    }

    fn initialise(&self) {
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.data());
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        run(&mut initdb);
        if self.options.demands_passwords {
            let rules = "local all all trust\nhost all all localhost scram-sha-256\n";
            std::fs::write(self.data().join("pg_hba.conf"), rules).expect("we may write there");
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// One of the server's programs, as an ordinary user: the server refuses to run as root.
    fn command(&self, program: &str) -> Command {
        self.as_server(Command::new(self.binaries.join(program)))
    }

    fn as_server(&self, mut command: Command) -> Command {
        command.current_dir(self.directory.path()).env("LC_ALL", "C");
        if let Some((user, group)) = server_user() {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop(Stop::Immediate);
        drop(self.watchdog.stdin.take());
        // It has nothing left to do but to remove the directory.
        let _ = self.watchdog.wait();
    }
}

/// The user that the server runs as, if we are root.
fn server_user() -> Option<(Uid, Gid)> {
    if !Uid::effective().is_root() {
        return None;
    }
    let find = |name| User::from_name(name).ok().flatten();
    let user = find("postgres").or_else(|| find("nobody"));
    let user = user.expect("there is a user postgres or nobody to run the server as");
    Some((user.uid, user.gid))
}

/// The directory of the newest `PostgreSQL`.
fn find_binaries() -> PathBuf {
    let is_complete = |path: &Path| path.join("initdb").exists() && path.join("postgres").exists();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| -> u32 {
        let name = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok()).unwrap_or(0)
    };
    let newest = debian
        .map(|entry| entry.path().join("bin"))
        .filter(|path| is_complete(path))
        .max_by_key(|path| version(path));
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|path| is_complete(path))
    };
    newest.or_else(on_path).expect("PostgreSQL is needed: apt-get install postgresql")
}

fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

fn run(command: &mut Command) -> String {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut output = String::new();
    let stdout = child.stdout.as_mut().expect("it was piped");
    stdout.read_to_string(&mut output).expect("it speaks UTF-8");
    let mut complaint = String::new();
    let stderr = child.stderr.as_mut().expect("it was piped");
    stderr.read_to_string(&mut complaint).expect("it speaks UTF-8");
    let status = child.wait().expect("it is our child");
    assert!(status.success(), "{command:?} failed: {complaint}");
    output
}
