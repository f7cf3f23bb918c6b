//! What the store counts about itself, and what it tells of it: plain numbers, read when somebody
//! asks.

use std::hash::Hash;

use moka::sync::Cache;
use proto::meter::{Counter, Histogram, STORAGE_TIMES_US, Times};

/// Counted by the threads of the store.
#[derive(Debug)]
pub(crate) struct Meters {
    /// Groups that were committed with something in them.
    pub(crate) groups: Counter,
    /// Groups that failed.
    pub(crate) failed_groups: Counter,
    /// Changes in such groups, whatever came of each.
    pub(crate) changes: Counter,
    /// Time from sending a commit to its answer.
    pub(crate) commits: Histogram,
    /// Time that a read waited for a thread.
    pub(crate) read_waits: Histogram,
    pub(crate) writer: Connections,
    pub(crate) readers: Connections,
}

/// What became of connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(crate) opened: Counter,
    pub(crate) lost: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            groups: Counter::default(),
            failed_groups: Counter::default(),
            changes: Counter::default(),
            commits: Histogram::new(STORAGE_TIMES_US),
            read_waits: Histogram::new(STORAGE_TIMES_US),
            writer: Connections::default(),
            readers: Connections::default(),
        }
    }
}

/// Connections of one kind until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many were opened.
    pub opened: u64,
    /// How many of them were lost.
    pub lost: u64,
}

impl Connections {
    pub(crate) fn read(&self) -> Opened {
        Opened { opened: self.opened.get(), lost: self.lost.get() }
    }
}

/// The store at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Changes that wait for the writer.
    pub queued_changes: usize,
    /// Reads that wait for a thread.
    pub queued_reads: usize,
    /// Threads that read.
    pub readers: usize,
    /// Groups of changes that were committed.
    pub groups: u64,
    /// Groups that failed as a whole.
    pub failed_groups: u64,
    /// Changes that were in them, whatever came of each.
    pub changes: u64,
    /// How long commits took.
    pub commits: Times,
    /// How long reads waited for a thread.
    pub read_waits: Times,
    /// The writer's connections.
    pub writer: Opened,
    /// The readers' connections.
    pub reader: Opened,
    /// Bytes of the recent changes in memory.
    pub log_bytes: usize,
    /// How many they are.
    pub log_records: usize,
}

/// How often something was at hand.
#[derive(Debug, Default)]
pub struct Lookups {
    hits: Counter,
    misses: Counter,
}

impl Lookups {
    /// Counts what a lookup has found.
    pub fn note<T>(&self, found: Option<T>) -> Option<T> {
        if found.is_some() {
            self.hits.increment();
        } else {
            self.misses.increment();
        }
        found
    }
}

/// A cache at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStats {
    /// How many entries it has.
    pub entries: u64,
    /// Their bytes, as the cache counts them.
    pub bytes: u64,
    /// How often something was there.
    pub hits: u64,
    /// How often something was not there.
    pub misses: u64,
}

impl CacheStats {
    /// Of a cache whose weights are bytes.
    pub fn of<K, V>(cache: &Cache<K, V>, lookups: &Lookups) -> Self
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        // What was put in last is counted once the cache has tidied up.
        cache.run_pending_tasks();
        Self {
            entries: cache.entry_count(),
            bytes: cache.weighted_size(),
            hits: lookups.hits.get(),
            misses: lookups.misses.get(),
        }
    }
}
