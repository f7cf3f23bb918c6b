//! Turns: what is about one subject is done one after another.
//!
//! Invariant: memory is bounded. Subjects share a queue by chance, which nobody can choose.

use std::hash::{BuildHasher, Hash, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// So many turns are taken at a time at most: more than there are processors to hash passwords.
const QUEUES: usize = 64;

/// The queues.
pub(crate) struct Turns {
    hasher: RandomState,
    queues: [Mutex<()>; QUEUES],
}

/// A turn, until it is dropped.
pub(crate) type Turn<'t> = MutexGuard<'t, ()>;

impl Turns {
    pub(crate) fn new() -> Self {
        let queues = std::array::from_fn(|_| Mutex::new(()));
        Self { hasher: RandomState::new(), queues }
    }

    /// Waits for those who came before about the same.
    pub(crate) async fn wait(&self, subject: &impl Hash) -> Turn<'_> {
        let queue = usize::try_from(self.hasher.hash_one(subject) % QUEUES as u64);
        self.queues[queue.unwrap_or_default()].lock().await
    }
}
