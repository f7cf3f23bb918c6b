//! `resolve-names`: what the process does that [`crate::resolver`] starts beside the server.
//!
//! Invariant: it resolves nothing before its own sandbox is closed, and ends with the server.

use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
};

use clap::ValueEnum;
use config::section::sandbox::Landlock;
use http::{SystemResolver, answer_names};
use tokio::signal::unix::{SignalKind, signal};

use crate::{failure::Failure, sandbox};

/// How the sandbox is to be closed, as the command line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Walls {
    /// Or there is no such process.
    Enforce,
    /// As well as it can be.
    BestEffort,
}

/// Resolves names for the process at the other end of the standard input.
pub(crate) fn run(walls: Walls) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot resolve names: {error}"));
    let control = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut control = UnixStream::from(control);
    if control.read(&mut [0]).map_err(failed)? == 0 {
        return Ok(());
    }
    let landlock = match walls {
        Walls::Enforce => Landlock::Enforce,
        Walls::BestEffort => Landlock::BestEffort,
    };
    let _sandbox = sandbox::close_resolver(landlock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let outcome = runtime.block_on(async {
        // Signals that go to all processes of a unit mean the server: this one ends with it.
        let _ignored =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        answer_names(control.into(), SystemResolver).await
    });
    // A lookup that hangs must not keep the process from ending.
    runtime.shutdown_background();
    outcome.map_err(failed)
}
