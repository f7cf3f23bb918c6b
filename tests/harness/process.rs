//! One process of the server: started with its log in a file, ended by its number.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a stop may take.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// Variables of a service manager that started the tests: they are not meant for the server.
const MANAGER_VARIABLES: [&str; 8] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "JOURNAL_STREAM",
    "CREDENTIALS_DIRECTORY",
];

/// Ends the process `$1` when the test is gone without having done so: then the pipe breaks.
const WATCHDOG: &str = "trap '' INT TERM HUP; read -r _; kill -KILL \"$1\"";

/// A running (or ended) process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    watchdog: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `binary` in `directory`; what it says is appended to `directory/log`.
    pub(crate) fn start(binary: &Path, arguments: &[&str], directory: &Path) -> Self {
        let log = directory.join("log");
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let errors = file.try_clone().expect("a second descriptor");
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        for variable in MANAGER_VARIABLES {
            command.env_remove(variable);
        }
        let child = command
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()));
        let watchdog = watch_over(child.id());
        Self { child, watchdog, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that was said so far, by earlier processes in the same directory, too.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process numbers are small");
        kill(Pid::from_raw(id), signal).expect("the child is there, as nobody has waited for it");
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.dismiss_watchdog();
        if self.ended().is_none() {
            self.signal(Signal::SIGKILL);
        }
        self.child.wait().expect("the child is ours");
    }

    /// Before the process's number is given back, lest another process gets it.
    fn dismiss_watchdog(&mut self) {
        self.watchdog.kill().expect("the watchdog is ours");
        self.watchdog.wait().expect("the watchdog is ours");
    }

    /// Asks it to end and waits for that.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal(Signal::SIGTERM);
        }
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                self.dismiss_watchdog();
                return status;
            }
            if start.elapsed() > STOP_TIMEOUT {
                let log = self.log();
                self.kill();
                panic!("the server does not stop; its log:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Starts the watchdog in a process group of its own: what ends the test must not reach it.
fn watch_over(process_id: u32) -> Child {
    let mut watchdog = Command::new("sh");
    watchdog.args(["-c", WATCHDOG, "watchdog", &process_id.to_string()]).process_group(0);
    watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    watchdog.spawn().expect("there is a shell")
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_alive(id: u32) -> bool {
        kill(Pid::from_raw(i32::try_from(id).expect("a small number")), None).is_ok()
    }

    #[tokio::test]
    async fn a_process_is_logged_stopped_and_started_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = Process::start(Path::new("sh"), &["-c", "echo one"], directory.path());
        while process.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(process);
        let script = ["-c", "echo two; echo three >&2; exec sleep 1000"];
        let mut process = Process::start(Path::new("sh"), &script, directory.path());
        while !process.log().ends_with("one\ntwo\nthree\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let id = process.id();
        assert!(is_alive(id));
        assert!(!process.stop().await.success());
        assert!(!is_alive(id));
    }

    #[tokio::test]
    async fn the_watchdog_ends_what_its_test_left_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = Process::start(Path::new("sleep"), &["1000"], directory.path());
        // As the kernel does when the test's process ends.
        drop(process.watchdog.stdin.take());
        while process.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
