//! Power events and their order.
//!
//! Spec: room version 2, "Power events", "Reverse topological power ordering".

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet},
    sync::Arc,
};

use super::{
    ResolutionEvent, ResolveError, Source,
    events::{Events, power_levels},
    iterative::implied_create,
};
use crate::{
    number::EventNumber,
    pdu::Pdu,
    power::{Power, Powers},
    visibility::Membership,
};

/// Step 1: the power events of the full conflicted set, with those of their auth chains that belong
/// to it, in reverse topological power order.
pub(super) fn sorted<S: Source>(
    full: &BTreeSet<EventNumber>,
    events: &mut Events<'_, S>,
) -> Result<Vec<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
    let mut chosen = Vec::new();
    let mut seen = HashSet::new();
    let mut open = Vec::new();
    for number in full {
        if events.find(*number)?.is_some_and(|event| is_power_event(&event.pdu)) {
            open.push(*number);
        }
    }
    while let Some(number) = open.pop() {
        if !seen.insert(number) {
            continue;
        }
        if let Some(event) = events.find(number)? {
            open.extend(event.auth_events.iter().filter(|auth| full.contains(auth)));
            chosen.push(event);
        }
    }
    let ranked = rank(chosen, events)?;
    Ok(topological(&ranked))
}

/// Whether an event may take something from somebody. As Synapse and ruma do it, the create event
/// counts, too.
fn is_power_event(pdu: &Pdu) -> bool {
    match pdu.type_str() {
        "m.room.power_levels" | "m.room.join_rules" | "m.room.create" => {
            pdu.state_key() == Some("")
        }
        "m.room.member" => {
            matches!(pdu.membership(), Some(Membership::Leave | Membership::Ban))
                && pdu.state_key() != Some(pdu.sender().as_str())
        }
        _ => false,
    }
}

/// Orders events by their senders' power, greatest first, then by time, then by id.
fn rank<S: Source>(
    chosen: Vec<Arc<ResolutionEvent>>,
    events: &mut Events<'_, S>,
) -> Result<Vec<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
    let mut powers = SenderPowers::default();
    let mut with_power = Vec::with_capacity(chosen.len());
    for event in chosen {
        with_power.push((powers.of(&event, events)?, event));
    }
    with_power.sort_by(|(one_power, one), (other_power, other)| {
        let one_key = (Reverse(*one_power), one.pdu.origin_server_ts(), one.pdu.event_id());
        one_key.cmp(&(Reverse(*other_power), other.pdu.origin_server_ts(), other.pdu.event_id()))
    });
    Ok(with_power.into_iter().map(|(_, event)| event).collect())
}

/// Kahn's algorithm: auth events first, and of those that may come next always the one of the
/// lowest rank, which is its index.
fn topological(ranked: &[Arc<ResolutionEvent>]) -> Vec<Arc<ResolutionEvent>> {
    let ranks: HashMap<EventNumber, usize> =
        ranked.iter().enumerate().map(|(rank, event)| (event.number, rank)).collect();
    let mut waits_for = vec![0_usize; ranked.len()];
    let mut frees = vec![Vec::new(); ranked.len()];
    for (rank, event) in ranked.iter().enumerate() {
        let auth: BTreeSet<usize> =
            event.auth_events.iter().filter_map(|number| ranks.get(number)).copied().collect();
        waits_for[rank] = auth.len();
        for auth_rank in auth {
            frees[auth_rank].push(rank);
        }
    }
    let ready = waits_for.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut heap: BinaryHeap<Reverse<usize>> = ready.map(|(rank, _)| Reverse(rank)).collect();
    let mut sorted = Vec::with_capacity(ranked.len());
    while let Some(Reverse(rank)) = heap.pop() {
        sorted.push(ranked[rank].clone());
        for freed in &frees[rank] {
            waits_for[*freed] -= 1;
            if waits_for[*freed] == 0 {
                heap.push(Reverse(*freed));
            }
        }
    }
    sorted
}

/// The power levels that events name among their auth events, each parsed once.
#[derive(Default)]
struct SenderPowers(HashMap<(Option<EventNumber>, Option<EventNumber>), Powers>);

impl SenderPowers {
    /// The power of an event's sender by the power levels among the event's own auth events.
    fn of<S: Source>(
        &mut self,
        event: &ResolutionEvent,
        events: &mut Events<'_, S>,
    ) -> Result<Power, ResolveError<S::Error>> {
        let auth_events = events.auth_events(event)?;
        let create = auth_events.iter().find(|auth| auth.pdu.is_state_of("m.room.create", ""));
        let create = match create {
            Some(create) => Some(create.clone()),
            None => implied_create(event, events)?,
        };
        let levels = power_levels(&auth_events);
        let key = (create.as_ref().map(|event| event.number), levels.map(|event| event.number));
        let powers = self.0.entry(key).or_insert_with(|| {
            let levels = levels.map(|event| &*event.pdu);
            match &create {
                Some(create) => Powers::of(&create.pdu, levels),
                None => Powers::without_creator(event.pdu.rules(), levels),
            }
        });
        Ok(powers.of_user(event.pdu.sender()))
    }
}
