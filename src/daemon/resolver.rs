//! The process beside a server that opens its own connections, as the server sees it: it resolves
//! names for it. What it does itself stands in [`crate::resolve_names`].
//!
//! What resolving takes lies in files among others in /etc, which the server's sandbox leaves one
//! by one: a resolv.conf(5) that a DHCP client puts in the place of the old one could not be read.
//! So the server starts this process before it closes its own sandbox. Behind the broker there is
//! none, and the broker is started anew instead.
//!
//! ```text
//! started ─ one byte: the server's sandbox is closed ─▶ closes its own ─▶ resolves
//!    └──────────────── the socket is closed ─────────────────┴──────────────┴──▶ ends
//! ```
//!
//! Invariant: it has a sandbox of its own, in which it may read /etc and what resolving reads
//! besides, and write nothing; it holds nothing of the server's but one end of a socket, and ends
//! when the other one is closed.

use std::{
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, Stdio},
};

use config::section::sandbox::Landlock;
use http::{OutsideResolver, Resolve};

use crate::failure::Failure;

/// The command that runs it, and its option.
pub(crate) const COMMAND: &str = "resolve-names";
const LANDLOCK: &str = "--landlock";

/// This very program, even if another file has its name by now.
const PROGRAM: &str = "/proc/self/exe";
const NAME: &str = "matrix-homeserver";

/// What the service manager and the administrator hand to the server alone.
const OF_THE_SERVER: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "LISTEN_PID"];

/// The running process.
pub(crate) struct Outside {
    control: UnixStream,
    /// Whoever holds it is the one who may wait for its end.
    _process: Child,
}

impl Outside {
    /// Starts it. To be called before the sandbox is closed.
    pub(crate) fn begin(landlock: Landlock) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(format!("cannot start the process that resolves names: {error}"))
        };
        let walls = if landlock == Landlock::Enforce { "enforce" } else { "best-effort" };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(PROGRAM);
        command.arg0(NAME).args([COMMAND, LANDLOCK, walls]);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        for name in OF_THE_SERVER {
            command.env_remove(name);
        }
        let process = command.spawn().map_err(failed)?;
        Ok(Self { control: ours, _process: process })
    }

    /// Lets it go on, once the server's own sandbox is closed: what keeps that from being closed is
    /// told by one process only.
    pub(crate) fn release(&self) {
        if let Err(error) = (&self.control).write_all(&[0]) {
            tracing::warn!(%error, "the process that resolves names has ended at once");
        }
    }

    /// Asks it. To be called within a runtime.
    pub(crate) fn resolver(&self) -> Result<impl Resolve, Failure> {
        let control = self.control.try_clone().map(OwnedFd::from);
        let asked = control.and_then(OutsideResolver::new);
        asked.map_err(|error| Failure::new(format!("cannot ask for names: {error}")))
    }
}
