//! Which names the store surely does not have, known without asking it: a state key that nobody has
//! used yet is found to be new so.
//!
//! Invariant: a name that the store has is never called absent. Two names may share their hash;
//! then the one that is not there is asked for. One node writes, so that nobody else adds names.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
};

use parking_lot::Mutex;

/// How many names are remembered. With more than that none is, and each new one is asked for: half
/// a megabyte or one is not worth more than that.
const NAMES_MAX: usize = 50_000;

/// The names that are there, by their hashes.
pub(crate) struct Absent {
    /// `None` while or since they are not all known.
    present: Mutex<Option<HashSet<u64>>>,
    hasher: RandomState,
    most: usize,
}

impl Absent {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self { present: Mutex::new(None), hasher: RandomState::new(), most: NAMES_MAX }
    }

    /// How many names are to be handed to [`Absent::fill`]: all, or so many.
    pub(crate) fn wanted(&self) -> usize {
        self.most + 1
    }

    /// Learns what is there.
    pub(crate) fn fill(&self, names: &[String]) {
        let all = names.len() <= self.most;
        let hashes = names.iter().map(|name| self.hasher.hash_one(name.as_str()));
        *self.present.lock() = all.then(|| hashes.collect());
    }

    /// A name is there from now on.
    pub(crate) fn add(&self, name: &str) {
        let mut present = self.present.lock();
        let Some(names) = &mut *present else { return };
        if names.len() < self.most {
            names.insert(self.hasher.hash_one(name));
        } else {
            *present = None;
        }
    }

    /// Whether the store surely does not have the name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let present = self.present.lock();
        present.as_ref().is_some_and(|names| !names.contains(&self.hasher.hash_one(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_not_there_is_absent() {
        let absent = Absent { most: 3, ..Absent::new() };
        assert!(!absent.has("a"), "nothing is known");
        absent.fill(&["a".to_owned()]);
        assert!(!absent.has("a") && absent.has("b"));
        absent.add("b");
        assert!(!absent.has("b") && absent.has("c"));
        absent.add("c");
        assert!(absent.has("d"));
        absent.add("d");
        assert!(!absent.has("e"), "there are too many to know");
        absent.fill(&["a", "b", "c", "d"].map(str::to_owned));
        assert!(!absent.has("e"));
    }
}
