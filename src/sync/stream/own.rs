//! The moves of the user's own membership since the token.

use std::collections::HashMap;

use proto::number::{EventNumber, Position, RoomNumber};
use store::{Change, room::keys::member_key, sync::moves};

use super::{Found, Look, Source};
use crate::plan::Passage;

/// A move before the member events that it names are known.
struct Step {
    room: RoomNumber,
    position: Position,
    old: Option<EventNumber>,
    new: Option<EventNumber>,
}

/// The moves of the user's own membership after the token, in order.
pub(crate) fn passages(look: &Look, source: &mut Source<'_, '_>) -> Found<Vec<Passage>> {
    let Some(since) = look.since else { return Ok(Vec::new()) };
    let steps = match &look.news {
        Some(_) => in_memory(look),
        None => in_database(look, since.position, source)?,
    };
    let numbers = steps.iter().flat_map(|step| [step.old, step.new]).flatten().collect::<Vec<_>>();
    let events = source.events(&numbers)?;
    let said = numbers.iter().zip(&events).map(|(number, event)| {
        let membership = event.pdu().membership();
        (*number, membership.unwrap_or_default())
    });
    let said = said.collect::<HashMap<_, _>>();
    let membership = |event: Option<EventNumber>| {
        event.and_then(|event| said.get(&event).copied()).unwrap_or_default()
    };
    let passage = |step: Step| Passage {
        room: step.room,
        position: step.position,
        from: membership(step.old),
        to: membership(step.new),
    };
    Ok(steps.into_iter().map(passage).collect())
}

fn in_memory(look: &Look) -> Vec<Step> {
    let own = member_key(look.requester.user());
    let records = look.news.iter().flat_map(|news| &news.own);
    let step = |record: &std::sync::Arc<store::Record>| match &record.change {
        Change::State { room, key, old, new, .. } if *key == own => {
            Some(Step { room: *room, position: record.position, old: *old, new: *new })
        }
        _ => None,
    };
    records.filter_map(step).collect()
}

/// Only rooms in which the present membership is newer than the token can have seen a move since.
fn in_database(look: &Look, since: Position, source: &mut Source<'_, '_>) -> Found<Vec<Step>> {
    let key = member_key(look.requester.user());
    let mut steps = Vec::new();
    for (room, membership) in &look.memberships {
        if membership.position <= since {
            continue;
        }
        let found = moves::of_key(source.snapshot()?, (*room, key), since, look.next.position)?;
        steps.extend(found.into_iter().map(|found| Step {
            room: *room,
            position: found.position,
            old: found.old,
            new: found.new,
        }));
    }
    steps.sort_unstable_by_key(|step| step.position);
    Ok(steps)
}
