//! A bounded cache in front of the store that never keeps a value older than the last commit.
//!
//! The danger: a reader takes a value out of an old snapshot, a change commits and drops the entry,
//! and then the reader puts its old value in. So a reader takes a [`Ticket`] before it opens its
//! snapshot, and a fill with a ticket that is older than any change since is thrown away. Changes
//! call [`Cache::set`] or [`Cache::forget`] from `on_commit`, which runs before the change can be
//! read anywhere.

use std::{borrow::Borrow, hash::Hash};

use moka::sync::Cache as Moka;
use parking_lot::Mutex;

/// What an entry costs besides what its key and value refer to.
const ENTRY_BYTES: usize = 256;

/// A bounded cache of committed values.
pub(crate) struct Cache<K, V> {
    entries: Moka<K, V>,
    changes: Mutex<u64>,
}

/// The moment before a snapshot was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache of at most so many bytes, as `weigh` counts them.
    pub(crate) fn new(bytes: u64, weigh: fn(&K, &V) -> usize) -> Self {
        let weigh = move |key: &K, value: &V| {
            u32::try_from(ENTRY_BYTES + weigh(key, value)).unwrap_or(u32::MAX)
        };
        let entries = Moka::builder().max_capacity(bytes).weigher(weigh).build();
        Self { entries, changes: Mutex::new(0) }
    }

    /// The cached value.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.entries.get(key)
    }

    /// To be taken before the snapshot that a fill will come from.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(*self.changes.lock())
    }

    /// Puts in what a snapshot said, unless something changed since the ticket.
    pub(crate) fn fill(&self, ticket: Ticket, key: K, value: V) {
        let changes = self.changes.lock();
        if *changes == ticket.0 {
            self.entries.insert(key, value);
        }
    }

    /// Puts in what was just committed.
    pub(crate) fn set(&self, key: K, value: V) {
        let mut changes = self.changes.lock();
        *changes += 1;
        self.entries.insert(key, value);
    }

    /// Drops what was just changed.
    pub(crate) fn forget<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut changes = self.changes.lock();
        *changes += 1;
        self.entries.invalidate(key);
    }
}

#[cfg(test)]
#[path = "cache_test.rs"]
mod cache_test;
