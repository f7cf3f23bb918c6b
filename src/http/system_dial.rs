//! Connects over the network of this process: resolves, checks the deny ranges on what was
//! resolved, and tries what passed, several addresses side by side.
//!
//! Invariant: an address that was not checked is not tried; see [`crate::Dial`].

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    Attempt, Candidate, Dial, DialError, Dialled, Fate, IpRanges, Resolve, SystemResolver, Target,
    dial::AttemptFuture,
};

/// Addresses of one name that are looked at; whatever a name has beyond them is left aside.
pub(crate) const MAX_CANDIDATES: usize = 32;
/// Addresses of one name that are tried.
const MAX_TRIED: usize = 8;
/// Head start of an address over the next one (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

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

    /// Resolves, checks and connects, within the time that the settings give.
    pub(crate) async fn open(&self, target: &Target) -> Attempt<Opened> {
        let settings = self.settings.load_full();
        let limit = settings.timeout;
        let mut candidates = Vec::new();
        let connect = self.connect(target, &settings.ranges, &mut candidates);
        let outcome = match timeout(limit, connect).await {
            Ok(outcome) => outcome,
            Err(_) if candidates.is_empty() => Err(unresolved(target, limit)),
            Err(_) => Err(DialError::TimedOut { target: target.clone(), timeout: limit }),
        };
        Attempt { candidates, outcome }
    }

    async fn connect(
        &self,
        target: &Target,
        ranges: &IpRanges,
        candidates: &mut Vec<Candidate>,
    ) -> Result<Opened, DialError> {
        let mut found = self.addresses(target).await?;
        found.truncate(MAX_CANDIDATES);
        let judge = |address: IpAddr| {
            let fate = ranges.denying(address).map_or(Fate::Skipped, Fate::Denied);
            Candidate { address, fate }
        };
        candidates.extend(found.into_iter().map(judge));
        if let Some(Candidate { address, fate: Fate::Denied(range) }) = candidates.first()
            && candidates.iter().all(|candidate| matches!(candidate.fate, Fate::Denied(_)))
        {
            let (address, range) = (*address, *range);
            return Err(DialError::Denied { target: target.clone(), address, range });
        }
        race(target, candidates).await
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
    fn attempt<'a>(&'a self, target: &'a Target) -> AttemptFuture<'a> {
        Box::pin(async move {
            self.open(target).await.map(|opened| Dialled::new(opened.stream, opened.address))
        })
    }
}

/// All the time went by without one address.
fn unresolved(target: &Target, limit: Duration) -> DialError {
    let reason = format!("no answer within {} seconds", limit.as_secs());
    let source = io::Error::new(io::ErrorKind::TimedOut, reason);
    DialError::Resolve { host: target.host.clone(), source }
}

/// A connection that nobody uses yet.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The connection.
    pub(crate) stream: TcpStream,
    /// The address that it leads to.
    pub(crate) address: SocketAddr,
}

/// Tries the addresses that are not denied in their order, each with a head start; the first
/// connection wins.
async fn race(target: &Target, candidates: &mut [Candidate]) -> Result<Opened, DialError> {
    let permitted = candidates.iter().enumerate();
    let permitted: Vec<(usize, SocketAddr)> = permitted
        .filter(|(_, candidate)| candidate.fate == Fate::Skipped)
        .take(MAX_TRIED)
        .map(|(index, candidate)| (index, SocketAddr::new(candidate.address, target.port)))
        .collect();
    let mut left = permitted.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = None;
    loop {
        if let Some((index, address)) = left.next() {
            attempts.push(async move { (index, address, TcpStream::connect(address).await) });
        }
        let head_start = async {
            if left.len() == 0 {
                std::future::pending::<()>().await;
            }
            sleep(ATTEMPT_DELAY).await;
        };
        tokio::select! {
            Some((index, address, result)) = attempts.next() => match result {
                Ok(stream) => {
                    candidates[index].fate = Fate::Connected;
                    return Ok(Opened { stream, address });
                }
                Err(source) => {
                    candidates[index].fate = Fate::Failed(source.to_string());
                    last_error = Some((address, source));
                }
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

#[cfg(test)]
#[path = "dial_test.rs"]
mod dial_test;
