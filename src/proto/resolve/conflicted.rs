//! What states agree on, and what not.
//!
//! Spec: room version 2, "Unconflicted state map and conflicted state set"; room version 1,
//! "conflict".

use std::collections::{BTreeMap, BTreeSet};

use imbl::ordmap::DiffItem;

use crate::{
    number::{EventNumber, StateKeyNumber},
    state::StateMap,
};

/// The keys on which states differ, each with its events.
pub(super) type Conflicts = BTreeMap<StateKeyNumber, BTreeSet<EventNumber>>;

/// States split into what is in all of them and the rest. Only what differs from the first state is
/// looked at.
pub(super) struct Split {
    /// What they agree on.
    pub unconflicted: StateMap,
    /// What they do not agree on.
    pub conflicts: Conflicts,
}

/// Splits by the definition of version 2: a key that one state lacks is in conflict.
pub(super) fn split(states: &[StateMap]) -> Split {
    let conflicts = differing(states);
    let mut unconflicted = states.first().cloned().unwrap_or_default();
    for key in conflicts.keys() {
        unconflicted.remove(key);
    }
    Split { unconflicted, conflicts }
}

/// Splits by the definition of version 1: only states that have different events under a key are in
/// conflict about it.
pub(super) fn split_v1(states: &[StateMap]) -> Split {
    let mut split = split(states);
    let agreed = |events: &BTreeSet<EventNumber>| events.len() == 1;
    for (key, events) in split.conflicts.iter().filter(|(_, events)| agreed(events)) {
        split.unconflicted.extend(events.iter().map(|event| (*key, *event)));
    }
    split.conflicts.retain(|_, events| !agreed(events));
    split
}

fn differing(states: &[StateMap]) -> Conflicts {
    let Some((first, others)) = states.split_first() else { return Conflicts::new() };
    let mut keys = BTreeSet::new();
    for other in others {
        keys.extend(first.diff(other).map(|item| match item {
            DiffItem::Add(key, _)
            | DiffItem::Remove(key, _)
            | DiffItem::Update { old: (key, _), .. } => *key,
        }));
    }
    let events = |key| states.iter().filter_map(|state| state.get(&key)).copied().collect();
    keys.into_iter().map(|key| (key, events(key))).collect()
}
