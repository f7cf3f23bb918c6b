//! What the events of a state reach through auth events, all together: kept from one resolution of
//! a room to the next, so that a fork of a large room costs what happens in it, not its members.
//!
//! Invariant: whatever an event of the state reaches, the coverage reaches as far or further. Its
//! witness is an event that reaches just so far, and counts while it stands in the state.

use std::sync::Arc;

use imbl::ordmap::DiffItem;
use moka::{policy::EvictionPolicy, sync::Cache};
use proto::{
    number::{EventNumber, StateKeyNumber},
    state::StateMap,
};

/// The largest coverage counts as this part of the memory, even if it is larger.
const LARGEST_SHARE: u64 = 4;
/// What a coverage takes beside its chains; its state is shared with the states that are kept.
const FIXED_BYTES: usize = 4096;
/// What one chain takes.
const CHAIN_BYTES: usize = 64;

/// What a state reaches.
#[derive(Clone, Default)]
pub(crate) struct Coverage {
    state: StateMap,
    furthest: imbl::HashMap<i64, Witness>,
}

/// The event that reaches furthest into a chain.
#[derive(Clone, Copy)]
struct Witness {
    sequence: i64,
    key: StateKeyNumber,
    event: EventNumber,
}

/// An event of a state, with its key.
pub(crate) type Entry = (StateKeyNumber, EventNumber);

impl Coverage {
    /// The events of a state that this one does not have.
    pub(crate) fn uncovered(&self, state: &StateMap) -> Vec<Entry> {
        let new = self.state.diff(state).filter_map(|item| match item {
            DiffItem::Add(key, event) | DiffItem::Update { new: (key, event), .. } => {
                Some((*key, *event))
            }
            DiffItem::Remove(..) => None,
        });
        new.collect()
    }

    /// Takes in what an event reaches.
    pub(crate) fn add(&mut self, (key, event): Entry, map: &[(i64, i64)]) {
        for (chain, sequence) in map {
            let known = self.furthest.get(chain).map_or(0, |witness| witness.sequence);
            if *sequence > known {
                self.furthest.insert(*chain, Witness { sequence: *sequence, key, event });
            }
        }
    }

    /// Becomes that of a state all of whose events are in it.
    pub(crate) fn become_of(&mut self, state: StateMap) {
        self.state = state;
    }

    /// How far the state reaches into a chain, if that is further than `low`; `Err` if the witness
    /// does not stand in the state any more, so that nobody knows.
    pub(crate) fn beyond(&self, chain: i64, low: i64) -> Result<Option<i64>, Gone> {
        match self.furthest.get(&chain).filter(|witness| witness.sequence > low) {
            None => Ok(None),
            Some(witness) if self.state.get(&witness.key) == Some(&witness.event) => {
                Ok(Some(witness.sequence))
            }
            Some(_) => Err(Gone),
        }
    }
}

/// A witness is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// Coverages by the rooms' create events. A clone means the same cache.
#[derive(Clone)]
pub(crate) struct CoverageCache(Cache<EventNumber, Arc<Coverage>>);

impl CoverageCache {
    pub(crate) fn new(bytes: u64) -> Self {
        let largest = u32::try_from(bytes / LARGEST_SHARE).unwrap_or(u32::MAX);
        let weigh = move |_: &EventNumber, coverage: &Arc<Coverage>| {
            let weight = FIXED_BYTES + coverage.furthest.len() * CHAIN_BYTES;
            u32::try_from(weight).unwrap_or(u32::MAX).min(largest)
        };
        let cache = Cache::builder().max_capacity(bytes).weigher(weigh);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }

    pub(crate) fn get(&self, create: EventNumber) -> Coverage {
        self.0.get(&create).map(|coverage| Coverage::clone(&coverage)).unwrap_or_default()
    }

    pub(crate) fn keep(&self, create: EventNumber, coverage: Coverage) {
        self.0.insert(create, Arc::new(coverage));
    }
}
