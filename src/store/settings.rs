//! What the store is told at its start. Nothing here changes at a reload.

use std::{fmt, time::Duration};

use crate::error::OpenError;

/// The store's settings, each with a bound or a time of its own.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:///var/lib/…/homeserver.db`, or `postgresql://…` as libpq reads it.
    pub url: String,
    /// Greatest number of reading threads, each with a connection of its own. They are started when
    /// needed.
    pub readers: usize,
    /// Greatest number of reads, and of changes, that wait for their turn; beyond it callers wait
    /// for a place.
    pub queue_length: usize,
    /// Memory for the log of recent changes, in bytes.
    pub log_bytes: usize,
    /// Greatest number of texts and numbers that each of the number caches holds.
    pub cached_numbers: u64,
    /// Page cache of each embedded connection, in KiB.
    pub page_cache_kib: u32,
    /// Greatest age of a snapshot; a read that takes longer fails.
    pub snapshot_age: Duration,
    /// How long a change waits for a database that is away or locked before it fails.
    pub patience: Duration,
}

impl Settings {
    /// The settings that fit most servers.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            readers: 4,
            queue_length: 4096,
            log_bytes: 8 * 1024 * 1024,
            cached_numbers: 50_000,
            page_cache_kib: 2048,
            snapshot_age: Duration::from_secs(30),
            patience: Duration::from_secs(30),
        }
    }
}

/// Whether the URL names a database server that is reached over the network, and not through a
/// socket or a file of this machine.
pub fn names_network(url: &str) -> bool {
    crate::engine::postgres::url::names_network(url)
}

/// Why the store would refuse the URL without asking any database, if it would.
pub fn check_url(url: &str) -> Result<(), String> {
    match crate::engine::postgres::url::check(url) {
        Err(OpenError::Url(reason)) => Err(reason),
        Err(other) => Err(other.to_string()),
        Ok(()) => Ok(()),
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The url may hold a password.
        let engine = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("Settings").field("engine", &engine).finish_non_exhaustive()
    }
}
