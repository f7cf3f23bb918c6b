//! State resolution over the store's numbers: versions 1, 2 and 2.1.
//!
//! Pure: whatever it must know about events it asks a [`Source`]. States are persistent maps; the
//! result shares its unconflicted part with the first of them, and nothing of the size of a state
//! is copied: the work grows with what the states differ in.
//!
//! ```text
//! states ─▶ conflicted: split ─┬─▶ v1
//!                              └─▶ v2: full conflicted set ─▶ power: order ─▶ iterative: check
//!                                                          └▶ mainline: order ─▶ iterative: check
//! ```
//!
//! Spec: room versions 1, 2 and 12, "State resolution".

use std::sync::Arc;

use crate::{
    number::{EventNumber, StateKeyNumber},
    pdu::Pdu,
    rules::{Rules, StateResolution},
    state::StateMap,
};

mod conflicted;
mod events;
mod iterative;
mod mainline;
mod power;
mod v1;
mod v2;

/// A state event as resolution sees it.
#[derive(Clone, Debug)]
pub struct ResolutionEvent {
    /// Its number.
    pub number: EventNumber,
    /// The number of its type and state key.
    pub key: StateKeyNumber,
    /// Its auth events' numbers, of those that are known.
    pub auth_events: Vec<EventNumber>,
    /// Whether it was rejected when it came.
    pub rejected: bool,
    /// The event itself.
    pub pdu: Arc<Pdu>,
}

/// What resolution asks about the room's events. Each question is asked a few times per resolution,
/// with everything that it then needs, so that an answer can be one query.
pub trait Source {
    /// What may go wrong in answering.
    type Error;

    /// These events, in any order; one that is not known, or is no state event, is left out.
    fn events(&mut self, numbers: &[EventNumber])
    -> Result<Vec<Arc<ResolutionEvent>>, Self::Error>;

    /// The number of a type and state key; `None` if nothing in the store has it.
    fn key(
        &mut self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<StateKeyNumber>, Self::Error>;

    /// The room's create event. Asked only where the room's id tells it (room version 12).
    fn create_event(&mut self) -> Result<Option<EventNumber>, Self::Error>;

    /// The auth difference of the states: every event that is in the full auth chain of at least
    /// one of them and not in that of all. The full auth chain of a state is the union of its
    /// events' auth chains. Asked only for versions 2 and 2.1.
    fn auth_difference(&mut self, states: &[StateMap]) -> Result<Vec<EventNumber>, Self::Error>;

    /// The conflicted state subgraph: every event on a path of auth events from one of these events
    /// to another one, ends included. Asked only for version 2.1.
    fn conflicted_subgraph(
        &mut self,
        conflicted: &[EventNumber],
    ) -> Result<Vec<EventNumber>, Self::Error>;
}

/// Why states could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError<E> {
    /// The source failed.
    #[error("{0}")]
    Source(E),
    /// An event in one of the states is not known.
    #[error("event {0} of a state is not known")]
    Missing(EventNumber),
}

/// Resolves the states after the previous events of an event (or after the forward extremities)
/// into one. No state gives the empty one, a single state itself.
pub fn resolve<S: Source>(
    rules: &'static Rules,
    states: &[StateMap],
    source: &mut S,
) -> Result<StateMap, ResolveError<S::Error>> {
    let Some((first, others)) = states.split_first() else { return Ok(StateMap::new()) };
    if others.iter().all(|state| state.ptr_eq(first)) {
        return Ok(first.clone());
    }
    match rules.state_resolution {
        StateResolution::V1 => v1::resolve(states, source),
        StateResolution::V2 | StateResolution::V2_1 => v2::resolve(rules, states, source),
    }
}

#[cfg(test)]
#[path = "resolve/resolve_test.rs"]
mod tests;
#[cfg(test)]
#[path = "resolve/v1_test.rs"]
mod v1_tests;
