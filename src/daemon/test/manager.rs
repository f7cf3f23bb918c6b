//! A service manager in small: it starts the program, hears what it is told and waits for it.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixDatagram},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::OFlag,
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};

use crate::machine::Machine;

const BINARY: &str = env!("CARGO_BIN_EXE_matrix-homeserver");
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The manager with its one service.
pub(crate) struct Manager<'a> {
    machine: &'a Machine,
    socket: UnixDatagram,
    pub(crate) child: Child,
}

impl<'a> Manager<'a> {
    /// Starts the service with these variables.
    pub(crate) fn start(machine: &'a Machine, variables: &[(&str, &str)]) -> Self {
        let config = machine.text("homeserver.toml");
        let mut command = machine.command(Path::new(BINARY), &["serve", "-c", &config]);
        command.envs(variables.iter().copied());
        Self::of(machine, command)
    }

    /// Starts a command as the service.
    pub(crate) fn of(machine: &'a Machine, mut command: Command) -> Self {
        let path = machine.path("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        let log = machine.path("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        command.env("NOTIFY_SOCKET", path);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { machine, socket, child }
    }

    /// The same, once the service answers requests.
    pub(crate) fn ready(machine: &'a Machine, variables: &[(&str, &str)]) -> Self {
        let manager = Self::start(machine, variables);
        manager.until("READY=1");
        manager
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// What comes within the time, if something does.
    pub(crate) fn hear(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time.max(Duration::from_millis(1)))).unwrap();
        let mut buffer = [0; 8192];
        let length = loop {
            match self.socket.recv(&mut buffer) {
                // A thread that another test stops makes itself felt here.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.ok()?,
            }
        };
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// All messages up to one that begins with this.
    pub(crate) fn until(&self, start: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let Some(message) = self.hear(PATIENCE) else {
                panic!("no {start} after {heard:?}\n{}", self.machine.log());
            };
            let found = message.starts_with(start);
            heard.push(message);
            if found {
                return heard;
            }
        }
    }

    /// How often it was told within the time that the service lives.
    pub(crate) fn signs_of_life(&self, time: Duration) -> usize {
        let start = Instant::now();
        let mut count = 0;
        while let Some(left) = time.checked_sub(start.elapsed()) {
            count += usize::from(self.hear(left).is_some_and(|told| told == "WATCHDOG=1\n"));
        }
        count
    }

    /// Reads the configuration again: the last message, and how long it took.
    pub(crate) fn reload(&self) -> (String, Duration) {
        self.signal(Signal::SIGHUP);
        self.until("RELOADING=1\nMONOTONIC_USEC=");
        let start = Instant::now();
        (self.until("READY=1\n").pop().unwrap(), start.elapsed())
    }

    /// Ends it in order: its exit status.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

/// A log that is read only when this is told to, so that whoever has much to tell waits.
pub(crate) struct SlowLog(File);

impl SlowLog {
    /// One that a command of [`Self::command`] writes to.
    pub(crate) fn of(machine: &Machine) -> Self {
        let path = machine.path("slow-log");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        // Opened for both, so that it is opened at once and never ends.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        Self(options.open(path).unwrap())
    }

    /// The server with this log.
    pub(crate) fn command(machine: &Machine) -> Command {
        let config = machine.text("homeserver.toml");
        let script = "exec \"$@\" 2>slow-log";
        let arguments = ["-c", script, "sh", BINARY, "serve", "-c", config.as_str()];
        machine.command(Path::new("sh"), &arguments)
    }

    /// Writes a fragment that a reload takes long to tell of, for its line does not fit into the
    /// log, and has it read. The reload goes on until the log is read.
    pub(crate) fn begin_reload(&mut self, machine: &Machine, manager: &Manager<'_>, round: u8) {
        const KEY: &str = "ip_range_denylist";
        let ranges = format!("\"10.{round}.0.0/16\", ").repeat(20_000);
        machine.write("conf.d/10.toml", &format!("[egress]\n{KEY} = [{ranges}]\n"), 0o600);
        self.read();
        manager.signal(Signal::SIGHUP);
        let (start, mut told, mut piece) = (Instant::now(), Vec::new(), [0; 256]);
        while !String::from_utf8_lossy(&told).contains(KEY) {
            assert!(start.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&told));
            match self.0.read(&mut piece) {
                Ok(length) => told.extend_from_slice(&piece[..length]),
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// Leaves no room, so that whoever has anything to tell waits.
    pub(crate) fn fill(&mut self) {
        while self.0.write(&[b'\n'; 4096]).is_ok() {}
    }

    /// Reads what is there.
    pub(crate) fn read(&mut self) {
        while self.0.read(&mut [0; 4096]).is_ok() {}
    }
}

impl Drop for Manager<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
