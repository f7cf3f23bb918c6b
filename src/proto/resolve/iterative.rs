//! The iterative auth checks: events applied to a state one after the other, those that it allows.
//!
//! Spec: room version 2, "Iterative auth checks".

use std::sync::Arc;

use super::{ResolutionEvent, ResolveError, Source, events::Events};
use crate::{
    auth,
    number::{EventNumber, StateKeyNumber},
    pdu::Pdu,
    state::StateMap,
};

/// A state under construction.
pub(super) struct Building {
    /// The state.
    pub state: StateMap,
    /// The keys that were set, some perhaps several times.
    pub touched: Vec<StateKeyNumber>,
}

impl Building {
    pub(super) fn from(state: StateMap) -> Self {
        Building { state, touched: Vec::new() }
    }

    /// Applies the events in this order, each if the state so far allows it.
    pub(super) fn apply<S: Source>(
        &mut self,
        sorted: &[Arc<ResolutionEvent>],
        events: &mut Events<'_, S>,
    ) -> Result<(), ResolveError<S::Error>> {
        for event in sorted {
            if is_allowed(event, &self.state, events)? {
                self.state.insert(event.key, event.number);
                self.touched.push(event.key);
            }
        }
        Ok(())
    }
}

/// Whether a state, completed from the event's own auth events, allows the event. Rejected events
/// allow nothing.
fn is_allowed<S: Source>(
    event: &ResolutionEvent,
    state: &StateMap,
    events: &mut Events<'_, S>,
) -> Result<bool, ResolveError<S::Error>> {
    // An event of which not even this can be told is allowed by no state.
    let Ok(needed) = auth::needed_keys(&event.pdu) else { return Ok(false) };
    let mut found: Vec<Arc<Pdu>> = Vec::with_capacity(needed.len());
    let own = events.auth_events(event)?;
    for (event_type, state_key) in needed {
        let event_type = event_type.to_string();
        let in_state = find_in_state(&event_type, &state_key, state, events)?;
        let in_own = || {
            let mut own = own.iter().filter(|event| !event.rejected);
            own.find(|event| event.pdu.is_state_of(&event_type, &state_key)).cloned()
        };
        let mut known = in_state.or_else(in_own);
        if known.is_none() && event_type == "m.room.create" {
            known = implied_create(event, events)?;
        }
        found.extend(known.map(|event| event.pdu.clone()));
    }
    let find = |event_type: &str, state_key: &str| {
        found.iter().find(|pdu| pdu.is_state_of(event_type, state_key)).cloned()
    };
    Ok(auth::check_state(&event.pdu, find).is_ok())
}

/// The event that a state has under a type and state key, unless it was rejected.
pub(super) fn find_in_state<S: Source>(
    event_type: &str,
    state_key: &str,
    state: &StateMap,
    events: &mut Events<'_, S>,
) -> Result<Option<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
    let Some(key) = events.key(event_type, state_key)? else { return Ok(None) };
    let Some(number) = state.get(&key) else { return Ok(None) };
    Ok(events.find(*number)?.filter(|event| !event.rejected))
}

/// The create event where no event names it, since the room's id does (room version 12).
pub(super) fn implied_create<S: Source>(
    event: &ResolutionEvent,
    events: &mut Events<'_, S>,
) -> Result<Option<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
    if !event.pdu.rules().room_id_is_create_event() {
        return Ok(None);
    }
    let number: Option<EventNumber> = events.source.create_event().map_err(ResolveError::Source)?;
    match number {
        Some(number) => events.find(number),
        None => Ok(None),
    }
}
