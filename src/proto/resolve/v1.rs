//! Version 1.
//!
//! Where the specification leaves something open, this does what the servers do that made these
//! rooms: the members are resolved independently of each other, and if no event under another key
//! is allowed, the one of the least depth wins.
//!
//! Spec: room version 1, "State resolution".

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::{
    ResolutionEvent, ResolveError, Source,
    conflicted::{Split, split_v1},
    events::Events,
    iterative::find_in_state,
};
use crate::{
    auth,
    number::{EventNumber, StateKeyNumber},
    pdu::Pdu,
    state::StateMap,
};

/// The passes: each uses what the ones before it have settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    PowerLevels,
    JoinRules,
    Members,
    Others,
}

impl Pass {
    const ALL: [Pass; 4] = [Pass::PowerLevels, Pass::JoinRules, Pass::Members, Pass::Others];

    fn of(pdu: &Pdu) -> Pass {
        match pdu.type_str() {
            "m.room.power_levels" if pdu.state_key() == Some("") => Pass::PowerLevels,
            "m.room.join_rules" => Pass::JoinRules,
            "m.room.member" => Pass::Members,
            _ => Pass::Others,
        }
    }
}

/// The events in conflict under one key, least depth first, of equal depth those of the greater
/// SHA-1 of the id first.
struct Conflict {
    key: StateKeyNumber,
    pass: Pass,
    events: Vec<Arc<ResolutionEvent>>,
}

pub(super) fn resolve<S: Source>(
    states: &[StateMap],
    source: &mut S,
) -> Result<StateMap, ResolveError<S::Error>> {
    let Split { unconflicted: mut result, conflicts } = split_v1(states);
    let mut events = Events::of(source);
    events.load(conflicts.values().flatten().copied())?;
    let mut ordered = Vec::with_capacity(conflicts.len());
    for (key, numbers) in conflicts {
        ordered.extend(conflict(key, numbers, &mut events)?);
    }
    for pass in Pass::ALL {
        let mut settled = HashMap::new();
        for conflict in ordered.iter().filter(|conflict| conflict.pass == pass) {
            let winner = match pass {
                Pass::Others => first_allowed(conflict, &result, &mut events)?,
                _ => last_of_chain(conflict, &result, &mut events)?,
            };
            settled.insert(conflict.key, winner);
        }
        result.extend(settled);
    }
    Ok(result)
}

fn conflict<S: Source>(
    key: StateKeyNumber,
    numbers: BTreeSet<EventNumber>,
    events: &mut Events<'_, S>,
) -> Result<Option<Conflict>, ResolveError<S::Error>> {
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        found.push(events.find(number)?.ok_or(ResolveError::Missing(number))?);
    }
    let sha1 = |event: &ResolutionEvent| {
        digest(&SHA1_FOR_LEGACY_USE_ONLY, event.pdu.event_id().as_bytes()).as_ref().to_vec()
    };
    found.sort_by_cached_key(|event| (event.pdu.depth(), Reverse(sha1(event))));
    let pass = found.first().map(|event| Pass::of(&event.pdu));
    Ok(pass.map(|pass| Conflict { key, pass, events: found }))
}

/// For what affects authorization: beginning with the oldest, each next event must be allowed with
/// the one before it in force; the last one for which that holds wins.
fn last_of_chain<S: Source>(
    conflict: &Conflict,
    state: &StateMap,
    events: &mut Events<'_, S>,
) -> Result<EventNumber, ResolveError<S::Error>> {
    let mut state = state.clone();
    let mut winner = conflict.events[0].number;
    for event in &conflict.events[1..] {
        state.insert(conflict.key, winner);
        if !is_allowed(event, &state, events)? {
            break;
        }
        winner = event.number;
    }
    Ok(winner)
}

/// For everything else: the newest that is allowed, or the oldest if none is.
fn first_allowed<S: Source>(
    conflict: &Conflict,
    state: &StateMap,
    events: &mut Events<'_, S>,
) -> Result<EventNumber, ResolveError<S::Error>> {
    for event in conflict.events.iter().rev() {
        if is_allowed(event, state, events)? {
            return Ok(event.number);
        }
    }
    Ok(conflict.events[0].number)
}

fn is_allowed<S: Source>(
    event: &ResolutionEvent,
    state: &StateMap,
    events: &mut Events<'_, S>,
) -> Result<bool, ResolveError<S::Error>> {
    let Ok(needed) = auth::needed_keys(&event.pdu) else { return Ok(false) };
    let mut found: Vec<Arc<Pdu>> = Vec::with_capacity(needed.len());
    for (event_type, state_key) in needed {
        let known = find_in_state(&event_type.to_string(), &state_key, state, events)?;
        found.extend(known.map(|event| event.pdu.clone()));
    }
    let find = |event_type: &str, state_key: &str| {
        found.iter().find(|pdu| pdu.is_state_of(event_type, state_key)).cloned()
    };
    Ok(auth::check_state(&event.pdu, find).is_ok())
}
