//! What is due when: names with the times at which somebody has to look at them again, and a bell
//! for whoever waits.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Names with the times at which they are due; each name once.
pub(crate) struct Due<K> {
    times: Mutex<Times<K>>,
    sooner: Notify,
}

struct Times<K> {
    by_time: BTreeSet<(u64, K)>,
    by_name: HashMap<K, u64>,
}

impl<K: Copy + Ord + Hash> Due<K> {
    pub(crate) fn new() -> Self {
        let times = Times { by_time: BTreeSet::new(), by_name: HashMap::new() };
        Self { times: Mutex::new(times), sooner: Notify::new() }
    }

    /// Sets when the name is due, or that it is not.
    pub(crate) fn set(&self, name: K, time_ms: Option<u64>) {
        let mut times = self.times.lock();
        let first = times.by_time.first().map(|(time, _)| *time);
        let old = match time_ms {
            Some(time_ms) => times.by_name.insert(name, time_ms),
            None => times.by_name.remove(&name),
        };
        if let Some(old) = old {
            times.by_time.remove(&(old, name));
        }
        if let Some(time_ms) = time_ms {
            times.by_time.insert((time_ms, name));
            if first.is_none_or(|first| time_ms < first) {
                self.sooner.notify_one();
            }
        }
    }

    /// Takes a name that is due by now.
    pub(crate) fn take(&self, now_ms: u64) -> Option<K> {
        let mut times = self.times.lock();
        let (time_ms, name) = *times.by_time.first()?;
        if time_ms > now_ms {
            return None;
        }
        times.by_time.remove(&(time_ms, name));
        times.by_name.remove(&name);
        Some(name)
    }

    /// When something is due next.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.times.lock().by_time.first().map(|(time, _)| *time)
    }

    /// Returns when something has become due earlier than anything before.
    pub(crate) async fn sooner(&self) {
        self.sooner.notified().await;
    }
}
