//! The way out: what it means to connect to somewhere, who can do it, and why it may fail.
//!
//! Invariant: what is checked is what is connected to. A name is resolved once, each of its
//! addresses is checked, and only those that passed are tried; no later resolution can put
//! another address in their place. [`crate::SystemDial`] does so over this process's network,
//! [`crate::BrokerDial`] has it done by a process that has one.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::IpRange;

/// Where to connect: a host name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The name, or the address as text; an IPv6 address with or without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Target {
    /// The address, if the host is one.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        let host = self.host.as_str();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        bare.parse().ok()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal() {
            Some(address) => write!(formatter, "{}", SocketAddr::new(address, self.port)),
            None => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// Both directions of an open connection.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An open connection.
pub struct Dialled {
    /// The connection.
    pub stream: Pin<Box<dyn Transport>>,
    /// The address that it leads to.
    pub address: SocketAddr,
}

impl Dialled {
    pub(crate) fn new(stream: TcpStream, address: SocketAddr) -> Self {
        // It fails only on a connection that is gone, which the first read says better.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        Self { stream: Box::pin(stream), address }
    }
}

impl fmt::Debug for Dialled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dialled").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address, or the resolver failed.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Every address lies in a range that must not be connected to.
    #[error("{target} leads only to addresses that are denied ({address} lies in {range})")]
    Denied {
        /// Where it should have gone.
        target: Target,
        /// One of the addresses.
        address: IpAddr,
        /// The range that it lies in.
        range: IpRange,
    },
    /// No address took the connection.
    #[error("cannot connect to {target} ({address}): {source}")]
    Connect {
        /// Where it should have gone.
        target: Target,
        /// The address that failed last.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("no connection to {target} within {} seconds", timeout.as_secs())]
    TimedOut {
        /// Where it should have gone.
        target: Target,
        /// The limit.
        timeout: Duration,
    },
    /// The broker cannot be asked, or what it says cannot be used.
    #[error("cannot have {target} connected to by the broker at {}: {source}", path.display())]
    Broker {
        /// Where it should have gone.
        target: Target,
        /// The broker's socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// One address of a target, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The address.
    pub address: IpAddr,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It lies in this range, which must not be connected to.
    Denied(IpRange),
    /// It was not tried, or not to the end: another one was quicker, or the time was over.
    Skipped,
    /// It did not take the connection, for this reason.
    Failed(String),
    /// It took the connection.
    Connected,
}

/// An attempt to connect, with its story.
#[derive(Debug)]
pub struct Attempt<T = Dialled> {
    /// The addresses that were found, in the order in which they were found.
    pub candidates: Vec<Candidate>,
    /// The connection, or why there is none.
    pub outcome: Result<T, DialError>,
}

impl<T> Attempt<T> {
    /// An attempt that came to no address.
    pub fn failed(error: DialError) -> Self {
        Self { candidates: Vec::new(), outcome: Err(error) }
    }

    /// The same with another connection.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Attempt<U> {
        Attempt { candidates: self.candidates, outcome: self.outcome.map(change) }
    }
}

/// What [`Dial::attempt`] gives.
pub type AttemptFuture<'a> = BoxFuture<'a, Attempt>;
/// What [`Dial::dial`] gives.
pub type DialFuture<'a> = BoxFuture<'a, Result<Dialled, DialError>>;

/// Connects to the world; tests put a network of their own in its place.
pub trait Dial: Send + Sync + 'static {
    /// Resolves, checks and connects, and tells what became of each address.
    fn attempt<'a>(&'a self, target: &'a Target) -> AttemptFuture<'a>;

    /// Resolves, checks and connects.
    fn dial<'a>(&'a self, target: &'a Target) -> DialFuture<'a> {
        Box::pin(async move { self.attempt(target).await.outcome })
    }
}
