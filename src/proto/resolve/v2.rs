//! Versions 2 and 2.1.
//!
//! Spec: room versions 2 and 12, "State resolution", "Algorithm".

use std::collections::{BTreeSet, HashSet};

use super::{
    ResolveError, Source,
    conflicted::{Split, split},
    events::Events,
    iterative::{Building, find_in_state},
    mainline, power,
};
use crate::{
    number::EventNumber,
    rules::{Rules, StateResolution},
    state::StateMap,
};

pub(super) fn resolve<S: Source>(
    rules: &'static Rules,
    states: &[StateMap],
    source: &mut S,
) -> Result<StateMap, ResolveError<S::Error>> {
    let split = split(states);
    if split.conflicts.is_empty() {
        return Ok(split.unconflicted);
    }
    let mut events = Events::of(source);
    let full = full_conflicted_set(rules, states, &split, &mut events)?;
    let Split { unconflicted, .. } = split;

    // Steps 1 and 2: the events that may take something from somebody.
    let power_events = power::sorted(&full, &mut events)?;
    let from_nothing = rules.state_resolution == StateResolution::V2_1;
    let start = if from_nothing { StateMap::new() } else { unconflicted.clone() };
    let mut building = Building::from(start);
    building.apply(&power_events, &mut events)?;

    // Steps 3 and 4: all others, by the power levels that resulted.
    let chosen: HashSet<EventNumber> = power_events.iter().map(|event| event.number).collect();
    let mut remaining = Vec::with_capacity(full.len() - chosen.len());
    for number in full.iter().filter(|number| !chosen.contains(number)) {
        remaining.extend(events.find(*number)?);
    }
    let newest = find_in_state("m.room.power_levels", "", &building.state, &mut events)?;
    let remaining = mainline::sorted(remaining, newest, &mut events)?;
    building.apply(&remaining, &mut events)?;

    Ok(complete(building, unconflicted, from_nothing))
}

/// The conflicted events, the auth difference and, in version 2.1, the conflicted state subgraph;
/// as far as they are known. They and their auth events are loaded.
///
/// What the states agree on is in no auth difference. By the specification's words an auth chain
/// does not hold the event itself, so that an event of all states may be in the chain of one alone;
/// Synapse counts it in all of them. It makes another order of power events, and servers that
/// resolve differently fall apart: so this goes by what most of them do.
fn full_conflicted_set<S: Source>(
    rules: &Rules,
    states: &[StateMap],
    Split { unconflicted, conflicts }: &Split,
    events: &mut Events<'_, S>,
) -> Result<BTreeSet<EventNumber>, ResolveError<S::Error>> {
    let mut full: BTreeSet<EventNumber> = conflicts.values().flatten().copied().collect();
    let conflicted: Vec<EventNumber> = full.iter().copied().collect();
    let difference = events.source.auth_difference(states).map_err(ResolveError::Source)?;
    events.load(difference.iter().copied())?;
    for number in difference {
        let event = events.find(number)?;
        full.extend(
            event.filter(|event| unconflicted.get(&event.key) != Some(&number)).map(|_| number),
        );
    }
    if rules.state_resolution == StateResolution::V2_1 {
        let subgraph = events.source.conflicted_subgraph(&conflicted);
        full.extend(subgraph.map_err(ResolveError::Source)?);
    }
    events.load(full.iter().copied())?;
    for number in conflicted {
        events.find(number)?.ok_or(ResolveError::Missing(number))?;
    }
    let mut known = BTreeSet::new();
    let mut auth_events = Vec::new();
    for number in full {
        if let Some(event) = events.find(number)? {
            auth_events.extend(event.auth_events.iter().copied());
            known.insert(number);
        }
    }
    events.load(auth_events)?;
    Ok(known)
}

/// Step 5: what the states agree on is as they agree.
fn complete(building: Building, unconflicted: StateMap, from_nothing: bool) -> StateMap {
    let Building { mut state, touched } = building;
    if from_nothing {
        let mut result = unconflicted;
        for (key, event) in state {
            if !result.contains_key(&key) {
                result.insert(key, event);
            }
        }
        return result;
    }
    for key in touched {
        if let Some(event) = unconflicted.get(&key) {
            state.insert(key, *event);
        }
    }
    state
}
