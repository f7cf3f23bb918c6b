//! What the system and the administrator tell the process: end, or read the configuration again.
//!
//! Invariant: a `SIGHUP` lies with the kernel until a reload begins. So whoever comes after it was
//! sent can be told what came of it: it is still there, or that reload has begun.

use std::io;

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{self, SignalKind},
};

use crate::failure::Failure;

/// A signal that means something to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// `SIGTERM`, `SIGINT`.
    Stop,
    /// `SIGHUP`.
    Reload,
}

/// Leaves `SIGHUP` with the kernel from now on. To be called before any thread starts: a thread
/// that does not know of it would be ended by the signal, and the process with it.
pub(crate) fn hold_hang_ups() -> Result<(), Failure> {
    hang_up().thread_block().map_err(cannot)
}

fn hang_up() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGHUP);
    set
}

fn cannot(error: impl Into<io::Error>) -> Failure {
    Failure::new(format!("cannot receive signals: {}", error.into()))
}

/// Receives signals from now on.
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: AsyncFd<SignalFd>,
}

impl Signals {
    /// Takes the signals over from their defaults, once [`hold_hang_ups`] was called.
    pub(crate) fn new() -> Result<Self, Failure> {
        let receive = |kind| unix::signal(kind).map_err(cannot);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let held = SignalFd::with_flags(&hang_up(), flags).map_err(cannot)?;
        #[expect(deprecated, reason = "its successor takes unsafe code; this owns its descriptor")]
        let hang_up = AsyncFd::with_interest(held, Interest::READABLE).map_err(cannot)?;
        Ok(Self {
            terminate: receive(SignalKind::terminate())?,
            interrupt: receive(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            () = hung_up(&self.hang_up) => Told::Reload,
        }
    }

    /// Takes a `SIGHUP` that was sent and that nobody has taken yet.
    pub(crate) fn take_hang_up(&self) -> bool {
        take(self.hang_up.get_ref()).is_ok()
    }

    /// Waits for one that says to stop; a `SIGHUP` waits meanwhile.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn hung_up(held: &AsyncFd<SignalFd>) {
    if let Err(error) = held.async_io(Interest::READABLE, take).await {
        tracing::error!(%error, "reloads are not possible any more");
        std::future::pending::<()>().await;
    }
}

fn take(held: &SignalFd) -> io::Result<()> {
    match held.read_signal()? {
        Some(_) => Ok(()),
        None => Err(io::ErrorKind::WouldBlock.into()),
    }
}
