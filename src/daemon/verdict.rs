//! What `ExecReload=` hears of the reload that it asked for.
//!
//! ```text
//! reload: makes the socket ─ SIGHUP ─▶ process: connects ─ reads, applies ─ sends ─▶ exit status
//! ```
//!
//! The service manager sets `$MAINPID` and `$RUNTIME_DIRECTORY` for its commands. By them one
//! command serves the server, its instances and the broker, whatever their configuration says and
//! however wrong it is. The units are of `Type=notify` for it: with `Type=notify-reload` the
//! service manager signals besides, before the command or after it by its version, so that
//! everything would be read and told twice.
//!
//! Invariant: the process connects before it reads. A verdict is thus of files as they were when
//! the command ran, or newer; a reload that was under way before is never taken for the answer.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{admin::protocol::ReloadVerdict, failure::Failure};

/// The socket's name in the runtime directory.
const SOCKET: &str = "reload.sock";
/// How long a reload may take before whoever asked is told that it is not over. The units give a
/// reload more than this.
pub(crate) const VERDICT_TIMEOUT: Duration = Duration::from_mins(1);
/// Largest verdict that is sent; the log has all of it.
const VERDICT_MAX_BYTES: usize = 64 * 1024;

/// Where the service manager's commands find the process and hear from it.
#[derive(Debug)]
pub(crate) struct Service {
    process: Pid,
    directory: PathBuf,
}

impl Service {
    /// The one for which the service manager started this command, if it did.
    pub(crate) fn of_command() -> Option<Self> {
        let process = std::env::var("MAINPID").ok()?.parse().ok().filter(|id| *id > 0)?;
        Some(Self { process: Pid::from_raw(process), directory: runtime_directory()? })
    }

    /// Has it read its configuration again and waits for what comes of it.
    pub(crate) fn reload(&self) -> Result<ReloadVerdict, Failure> {
        let path = self.directory.join(SOCKET);
        let cannot = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(format!("cannot {what} {}: {error}", path.display()))
        };
        // A command that was killed has left it.
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).map_err(|error| cannot("listen at", &error))?;
        let heard = fs::set_permissions(&path, Permissions::from_mode(0o600))
            .map_err(|error| cannot("protect", &error))
            .and_then(|()| {
                kill(self.process, Signal::SIGHUP).map_err(|error| {
                    Failure::new(format!("cannot signal process {}: {error}", self.process))
                })
            })
            .and_then(|()| receive(&socket).map_err(|error| cannot("hear anything at", &error)));
        // Whoever connects from now on finds nobody.
        let _ = fs::remove_file(&path);
        heard
    }
}

fn receive(socket: &UnixDatagram) -> io::Result<ReloadVerdict> {
    socket.set_read_timeout(Some(VERDICT_TIMEOUT))?;
    let mut buffer = vec![0; VERDICT_MAX_BYTES];
    let length = socket.recv(&mut buffer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::other("the reload is not over yet"),
        _ => error,
    })?;
    serde_json::from_slice(&buffer[..length]).map_err(io::Error::other)
}

fn runtime_directory() -> Option<PathBuf> {
    let directories = std::env::var_os("RUNTIME_DIRECTORY")?;
    std::env::split_paths(&directories).next().filter(|path| path.is_absolute())
}

/// A command that waits for the verdict of the reload that begins now.
pub(crate) struct Hearer(UnixDatagram);

impl Hearer {
    /// The one that is there. To be asked for before anything is read.
    pub(crate) fn present() -> Option<Self> {
        Self::at(&runtime_directory()?)
    }

    fn at(directory: &Path) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        // Mostly nobody is there: the administrator has signalled.
        socket.connect(directory.join(SOCKET)).ok()?;
        // A command that is stopped must not stop the server.
        socket.set_nonblocking(true).ok()?;
        Some(Self(socket))
    }

    /// Tells it.
    pub(crate) fn tell(self, verdict: &ReloadVerdict) {
        let sent = serde_json::to_vec(verdict).map_err(io::Error::other).and_then(|mut bytes| {
            if bytes.len() > VERDICT_MAX_BYTES {
                bytes = serde_json::to_vec(&shortened(verdict))?;
            }
            self.0.send(&bytes)
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "cannot tell the service manager's command of the reload");
        }
    }
}

/// A verdict of any size in a few words.
fn shortened(verdict: &ReloadVerdict) -> ReloadVerdict {
    let told = |lines: &[String]| match lines.len() {
        0 => Vec::new(),
        count => vec![format!("{count} lines, which stand in the log")],
    };
    let ReloadVerdict { refused, applied, waiting } = verdict;
    ReloadVerdict { refused: told(refused), applied: told(applied), waiting: told(waiting) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verdict as the command hears it.
    fn heard(verdict: &ReloadVerdict) -> ReloadVerdict {
        let directory = tempfile::tempdir().unwrap();
        assert!(Hearer::at(directory.path()).is_none());
        let socket = UnixDatagram::bind(directory.path().join(SOCKET)).unwrap();
        Hearer::at(directory.path()).unwrap().tell(verdict);
        receive(&socket).unwrap()
    }

    #[test]
    fn a_verdict_of_any_size_is_heard() {
        let refused = vec!["x.toml:1: wrong".to_owned()];
        let verdict = ReloadVerdict { refused, ..ReloadVerdict::default() };
        assert_eq!(heard(&verdict), verdict);
        let long = "x".repeat(VERDICT_MAX_BYTES);
        let waiting = vec![String::new(), long];
        let verdict = ReloadVerdict { waiting, ..ReloadVerdict::default() };
        let heard = heard(&verdict);
        assert_eq!(heard.waiting, ["2 lines, which stand in the log"]);
        assert!(heard.refused.is_empty() && heard.applied.is_empty());
    }
}
