//! The way out: whatever leaves the machine resolves, checks and connects here.
//!
//! Invariant: what is checked is what is connected to. A name is resolved once, each of its
//! addresses is checked, and only those that passed are tried; no later resolution can put
//! another address in their place.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::IpRanges;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// Head start of an address over the next one (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

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
    fn literal(&self) -> Option<IpAddr> {
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
    #[error("{target} leads only to addresses that are denied ({address})")]
    Denied {
        /// Where it should have gone.
        target: Target,
        /// One of the addresses.
        address: IpAddr,
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
}

/// What [`Dial::dial`] gives.
pub type DialFuture<'a> = BoxFuture<'a, Result<Dialled, DialError>>;
/// What [`Resolve::resolve`] gives.
pub type ResolveFuture<'a> = BoxFuture<'a, io::Result<Vec<IpAddr>>>;

/// Connects to the world; tests put a network of their own in its place.
pub trait Dial: Send + Sync + 'static {
    /// Resolves, checks and connects.
    fn dial<'a>(&'a self, target: &'a Target) -> DialFuture<'a>;
}

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses, the preferred one first.
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a>;
}

/// The operating system's resolver (`getaddrinfo`): `/etc/hosts`, DNS, and what else is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// What a [`SystemDial`] goes by; a reload swaps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialSettings {
    /// What may be connected to.
    pub ranges: IpRanges,
    /// Time for resolving and connecting together.
    pub timeout: Duration,
}

impl Default for DialSettings {
    fn default() -> Self {
        Self { ranges: IpRanges::default(), timeout: Duration::from_secs(10) }
    }
}

/// Connects over the operating system's network.
#[derive(Clone, Debug)]
pub struct SystemDial<R = SystemResolver> {
    settings: Arc<ArcSwap<DialSettings>>,
    resolver: R,
}

impl<R: Resolve> SystemDial<R> {
    /// Goes by `settings` as they are at each call.
    pub fn new(settings: Arc<ArcSwap<DialSettings>>, resolver: R) -> Self {
        Self { settings, resolver }
    }

    async fn connect(&self, target: &Target, ranges: &IpRanges) -> Result<Dialled, DialError> {
        let found = self.addresses(target).await?;
        let permitted: Vec<SocketAddr> = found
            .iter()
            .filter(|address| ranges.permits(**address))
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(*address, target.port))
            .collect();
        if permitted.is_empty() {
            let address = found[0];
            return Err(DialError::Denied { target: target.clone(), address });
        }
        race(target, permitted).await
    }

    /// At least one address.
    async fn addresses(&self, target: &Target) -> Result<Vec<IpAddr>, DialError> {
        if let Some(address) = target.literal() {
            return Ok(vec![address]);
        }
        let failed = |source| DialError::Resolve { host: target.host.clone(), source };
        let found = self.resolver.resolve(&target.host).await.map_err(failed)?;
        if found.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
        }
        Ok(found)
    }
}

impl<R: Resolve> Dial for SystemDial<R> {
    fn dial<'a>(&'a self, target: &'a Target) -> DialFuture<'a> {
        Box::pin(async move {
            let settings = self.settings.load_full();
            let limit = settings.timeout;
            match timeout(limit, self.connect(target, &settings.ranges)).await {
                Ok(result) => result,
                Err(_) => Err(DialError::TimedOut { target: target.clone(), timeout: limit }),
            }
        })
    }
}

/// Tries the addresses in their order, each with a head start; the first connection wins.
async fn race(target: &Target, addresses: Vec<SocketAddr>) -> Result<Dialled, DialError> {
    let mut left = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = None;
    loop {
        if let Some(address) = left.next() {
            attempts.push(async move { (address, TcpStream::connect(address).await) });
        }
        let head_start = async {
            if left.len() == 0 {
                std::future::pending::<()>().await;
            }
            sleep(ATTEMPT_DELAY).await;
        };
        tokio::select! {
            Some((address, result)) = attempts.next() => match result {
                Ok(stream) => return Ok(opened(stream, address)),
                Err(source) => last_error = Some((address, source)),
            },
            () = head_start => {}
        }
        if attempts.is_empty() && left.len() == 0 {
            // Only failed attempts lead here, so there is an error.
            let (address, source) = last_error.unwrap_or_else(|| {
                (SocketAddr::from(([0; 4], 0)), io::ErrorKind::NotConnected.into())
            });
            return Err(DialError::Connect { target: target.clone(), address, source });
        }
    }
}

fn opened(stream: TcpStream, address: SocketAddr) -> Dialled {
    // It fails only on a connection that is gone, which the first read says better.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    Dialled { stream: Box::pin(stream), address }
}

#[cfg(test)]
#[path = "dial_test.rs"]
mod dial_test;
