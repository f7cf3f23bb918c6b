//! Names are resolved by another process: one that may read what this one may not, such as a
//! resolv.conf(5) that was put in the place of the one that was there at the start.
//!
//! ```text
//! OutsideResolver ── a socket for each name (SCM_RIGHTS) ──▶ answer_names ──▶ Resolve
//!        ▲                                                        │
//!        └──────────────── its addresses, or the error ───────────┘
//! ```
//!
//! Both ends of a name's socket are made by whoever asks, so that requests need no numbers and one
//! that is given up is closed. What comes back is bounded, and checked as any address is.
//!
//! Invariant: when the other process is gone, names are resolved by this one, as well as it can.

use std::{
    io,
    net::IpAddr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as BlockingStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Semaphore,
};
use tokio_util::task::TaskTracker;

use crate::{
    Resolve, ResolveFuture, SystemResolver,
    broker::descriptor::{receive, send},
    system_dial::MAX_CANDIDATES,
};

/// Names that are resolved at a time; further ones wait.
const MAX_LOOKUPS: usize = 256;
/// The longest name of the DNS, with room for what is none. Others' users write names: a longer one
/// is not asked for, and says nothing about the other process.
const NAME_MAX_BYTES: usize = 1024;
/// The longest answer: all addresses, or the text of an error.
const ANSWER_MAX_BYTES: u64 = 4096;

/// How an answer begins that is no list of addresses.
const ERROR: &str = "error ";
/// How one begins that is.
const FOUND: &str = "found";

/// Resolves names by another process.
#[derive(Debug)]
pub struct OutsideResolver {
    control: UnixStream,
    is_missed: AtomicBool,
}

impl OutsideResolver {
    /// Asks the process at the other end. Must be called within a tokio runtime.
    pub fn new(control: OwnedFd) -> io::Result<Self> {
        Ok(Self { control: stream(control)?, is_missed: AtomicBool::new(false) })
    }

    /// The answer of the other process.
    async fn ask(&self, host: &str) -> io::Result<String> {
        let (mut ours, theirs) = UnixStream::pair()?;
        send(&self.control, &[0], Some(theirs.as_fd())).await?;
        drop(theirs);
        ours.write_all(host.as_bytes()).await?;
        ours.shutdown().await?;
        let mut answer = String::new();
        ours.take(ANSWER_MAX_BYTES).read_to_string(&mut answer).await?;
        if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }
}

impl Resolve for OutsideResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        Box::pin(async move {
            if host.len() > NAME_MAX_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name is too long"));
            }
            match self.ask(host).await {
                Ok(answer) => parse(&answer),
                Err(error) => {
                    if !self.is_missed.swap(true, Relaxed) {
                        tracing::error!(
                            %error,
                            "the process that resolves names does not answer: a new resolv.conf \
                             will take a restart"
                        );
                    }
                    SystemResolver.resolve(host).await
                }
            }
        })
    }
}

/// Reads an answer.
fn parse(answer: &str) -> io::Result<Vec<IpAddr>> {
    if let Some(reason) = answer.strip_prefix(ERROR) {
        return Err(io::Error::other(reason));
    }
    let strange = || io::Error::other("the process that resolves names answers strangely");
    let words = answer.strip_prefix(FOUND).ok_or_else(strange)?.split_ascii_whitespace();
    words.take(MAX_CANDIDATES).map(|word| word.parse().map_err(|_| strange())).collect()
}

/// Resolves for the process at the other end, until it closes.
pub async fn answer_names<R: Resolve>(control: OwnedFd, resolver: R) -> io::Result<()> {
    let control = stream(control)?;
    let (resolver, slots) = (Arc::new(resolver), Arc::new(Semaphore::new(MAX_LOOKUPS)));
    let tracker = TaskTracker::new();
    // It fails only once the semaphore is closed, which nobody does.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (received, asked) = receive(&control, &mut [0]).await?;
        let Some(asked) = asked else {
            if received == 0 {
                break;
            }
            continue;
        };
        let resolver = Arc::clone(&resolver);
        tracker.spawn(async move {
            // Whoever asks and goes has no use for the answer.
            let _ = answer_name(asked, &*resolver).await;
            drop(slot);
        });
    }
    Ok(())
}

async fn answer_name(asked: OwnedFd, resolver: &impl Resolve) -> io::Result<()> {
    let mut stream = stream(asked)?;
    let mut host = String::new();
    (&mut stream).take(NAME_MAX_BYTES as u64).read_to_string(&mut host).await?;
    let answer = match resolver.resolve(&host).await {
        Ok(found) => found
            .iter()
            .take(MAX_CANDIDATES)
            .fold(FOUND.to_owned(), |answer, address| format!("{answer} {address}")),
        Err(error) => format!("{ERROR}{error}"),
    };
    stream.write_all(answer.as_bytes()).await
}

fn stream(descriptor: OwnedFd) -> io::Result<UnixStream> {
    let stream = BlockingStream::from(descriptor);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

#[cfg(test)]
#[path = "outside_test.rs"]
mod outside_test;
