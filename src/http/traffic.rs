//! What a server's listeners have seen: plain numbers, read when somebody asks.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::Address;

/// One listener's counts.
#[derive(Debug)]
pub(crate) struct Counts {
    address: String,
    accepted: AtomicU64,
    open: AtomicUsize,
    failed_handshakes: AtomicU64,
}

impl Counts {
    /// One more connection, which is open until what comes back is dropped.
    pub(crate) fn accepted(self: &Arc<Self>) -> OpenConnection {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        OpenConnection(Arc::clone(self))
    }
}

/// A connection as long as it is open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Counts>);

impl OpenConnection {
    /// Its TLS handshake did not come to an end.
    pub(crate) fn failed_handshake(&self) {
        self.0.failed_handshakes.fetch_add(1, Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// A listener's connections at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerStats {
    /// Where it listens.
    pub address: String,
    /// How many it has accepted.
    pub accepted: u64,
    /// How many of them are open.
    pub open: usize,
    /// How many of them failed in their TLS handshake.
    pub failed_handshakes: u64,
}

/// All listeners of a [`crate::Server`]. Clones are cheap and mean the same.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Mutex<Vec<Arc<Counts>>>>);

impl Traffic {
    /// A further listener: its number and its counts.
    pub(crate) fn add(&self, address: &Address) -> (usize, Arc<Counts>) {
        let counts = Arc::new(Counts {
            address: address.to_string(),
            accepted: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            failed_handshakes: AtomicU64::new(0),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&counts));
        (all.len() - 1, counts)
    }

    /// What they have seen until now, in the order in which they were served.
    pub fn read(&self) -> Vec<ListenerStats> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |counts: &Arc<Counts>| ListenerStats {
            address: counts.address.clone(),
            accepted: counts.accepted.load(Relaxed),
            open: counts.open.load(Relaxed),
            failed_handshakes: counts.failed_handshakes.load(Relaxed),
        };
        all.iter().map(read).collect()
    }
}
