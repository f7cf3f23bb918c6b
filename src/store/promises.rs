//! Numbers that are promised: known to whoever builds a change, before the change gives them.
//!
//! A change that names something new needs its number while it is built, and only the commit of
//! that same change gives it. So the number is taken from a block whose end is durable, and
//! promised: until the change is over, everybody else who names the same gets the same number.
//! [`crate::WriteTxn::keep`] makes it count.
//!
//! Invariant: a name has at most one living promise, and whoever gives a name its number gives the
//! promised one. A promise lives as long as somebody holds it; it never enters a cache, and one
//! that is not kept leaves a gap among the numbers that nobody sees.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

/// A number that a name will have once a change keeps the promise.
#[derive(Debug)]
pub(crate) struct Promised<N: Eq + Hash> {
    pub(crate) name: N,
    pub(crate) number: i64,
    /// Whether a committed change has kept it.
    kept: AtomicBool,
    table: Arc<Table<N>>,
}

type Table<N> = Mutex<HashMap<N, (i64, Weak<Promised<N>>)>>;

/// The living promises.
#[derive(Debug)]
pub(crate) struct Promises<N: Eq + Hash>(Arc<Table<N>>);

impl<N: Eq + Hash + Clone> Promises<N> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(HashMap::new())))
    }

    /// Promises a number, unless another one is promised: the promise that counts comes back.
    pub(crate) fn make(&self, name: N, number: i64) -> Arc<Promised<N>> {
        let mut table = self.0.lock();
        if let Some(living) = table.get(&name).and_then(|(_, living)| living.upgrade()) {
            return living;
        }
        let (kept, owner) = (AtomicBool::new(false), Arc::clone(&self.0));
        let promise = Arc::new(Promised { name: name.clone(), number, kept, table: owner });
        table.insert(name, (number, Arc::downgrade(&promise)));
        promise
    }

    /// The living promise about a name.
    pub(crate) fn get(&self, name: &N) -> Option<Arc<Promised<N>>> {
        self.0.lock().get(name)?.1.upgrade()
    }

    /// The number that is promised to a name.
    pub(crate) fn find(&self, name: &N) -> Option<i64> {
        let table = self.0.lock();
        let (number, living) = table.get(name)?;
        (living.strong_count() > 0).then_some(*number)
    }

    /// Notes that a name has its number: the promise of it is kept, and one of another number is
    /// worth nothing any more.
    pub(crate) fn settle(&self, name: &N, number: i64) {
        // Its end takes the table's lock, so it must not come while the lock is held.
        let promise = {
            let mut table = self.0.lock();
            match table.get(name) {
                Some((promised, living)) if *promised == number => living.upgrade(),
                Some(_) => {
                    table.remove(name);
                    None
                }
                None => None,
            }
        };
        if let Some(promise) = promise {
            promise.kept.store(true, Ordering::Release);
        }
    }
}

impl<N: Eq + Hash> Promised<N> {
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }
}

impl<N: Eq + Hash> Drop for Promised<N> {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        // A newer promise about the same name may stand there by now.
        if table.get(&self.name).is_some_and(|(_, living)| living.strong_count() == 0) {
            table.remove(&self.name);
        }
    }
}

#[cfg(test)]
#[path = "promises_test.rs"]
mod tests;
