//! What the system and the administrator tell the process: end, or read the configuration again.

use nix::sys::signal::{self, SigSet};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// A signal that means something to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// `SIGTERM`, `SIGINT`.
    Stop,
    /// `SIGHUP`.
    Reload,
}

/// What says to reload waits for [`Signals::new`] instead of ending the process. To be called first
/// of all, before there are threads.
pub(crate) fn hold_reloads() -> Result<(), Failure> {
    reload_alone().thread_block().map_err(|error| cannot_receive(&error))
}

fn reload_alone() -> SigSet {
    let mut reload = SigSet::empty();
    reload.add(signal::Signal::SIGHUP);
    reload
}

fn cannot_receive(error: &dyn std::error::Error) -> Failure {
    Failure::new(format!("cannot receive signals: {error}"))
}

/// Receives signals from now on.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over from their defaults. The thread that calls this receives those that
    /// were held.
    pub(crate) fn new() -> Result<Self, Failure> {
        let receive = |kind| signal(kind).map_err(|error| cannot_receive(&error));
        let signals = Self {
            terminate: receive(SignalKind::terminate())?,
            interrupt: receive(SignalKind::interrupt())?,
            hang_up: receive(SignalKind::hangup())?,
        };
        reload_alone().thread_unblock().map_err(|error| cannot_receive(&error))?;
        Ok(signals)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Waits for one that says to stop. One that says to reload waits for [`Self::next`]: whoever
    /// sends it while the server starts has written what the start has not read.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
