//! The mainline of a power levels event, and the order of events by it.
//!
//! Spec: room version 2, "Mainline ordering".

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{
    ResolutionEvent, ResolveError, Source,
    events::{Events, power_levels},
};
use crate::number::EventNumber;

/// The position of an event whose power levels are not of the mainline: greater than every other.
const NOWHERE: usize = usize::MAX;

/// Orders events by the mainline of this power levels event: oldest position first, then by time,
/// then by id.
pub(super) fn sorted<S: Source>(
    remaining: Vec<Arc<ResolutionEvent>>,
    newest: Option<Arc<ResolutionEvent>>,
    events: &mut Events<'_, S>,
) -> Result<Vec<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
    let mut mainline = Mainline::of(newest, events)?;
    let mut placed = Vec::with_capacity(remaining.len());
    for event in remaining {
        placed.push((mainline.position(&event, events)?, event));
    }
    placed.sort_by(|(one_position, one), (other_position, other)| {
        let one_key = (Reverse(*one_position), one.pdu.origin_server_ts(), one.pdu.event_id());
        one_key.cmp(&(Reverse(*other_position), other.pdu.origin_server_ts(), other.pdu.event_id()))
    });
    Ok(placed.into_iter().map(|(_, event)| event).collect())
}

/// The positions of power levels events: of the mainline, and of all others that were met.
struct Mainline(HashMap<EventNumber, usize>);

impl Mainline {
    fn of<S: Source>(
        newest: Option<Arc<ResolutionEvent>>,
        events: &mut Events<'_, S>,
    ) -> Result<Mainline, ResolveError<S::Error>> {
        let mut positions = HashMap::new();
        let mut next = newest;
        while let Some(event) = next {
            if positions.insert(event.number, positions.len()).is_some() {
                break;
            }
            next = power_levels(&events.auth_events(&event)?).cloned();
        }
        Ok(Mainline(positions))
    }

    /// The position of the first power levels event of the mainline on the way down from this
    /// event.
    fn position<S: Source>(
        &mut self,
        event: &ResolutionEvent,
        events: &mut Events<'_, S>,
    ) -> Result<usize, ResolveError<S::Error>> {
        let mut passed = Vec::new();
        let mut next = power_levels(&events.auth_events(event)?).cloned();
        let mut position = NOWHERE;
        while let Some(event) = next {
            if let Some(known) = self.0.get(&event.number) {
                position = *known;
                break;
            }
            // Known from here on, so that this walk ends even if the events go round in a circle.
            self.0.insert(event.number, NOWHERE);
            next = power_levels(&events.auth_events(&event)?).cloned();
            passed.push(event.number);
        }
        self.0.extend(passed.into_iter().map(|number| (number, position)));
        Ok(position)
    }
}
