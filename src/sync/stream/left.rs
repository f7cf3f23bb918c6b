//! Rooms that the user has left, or was removed from: the timeline up to her departure, and the
//! state that belongs to it.
//!
//! Invariant: nothing that happened after the departure is told.

use std::sync::Arc;

use proto::state::StateMap;
use room::Event;
use ruma::RoomId;
use store::room::changes;

use super::{
    Found, Look, Source,
    joined::{Extras, before},
    rows, state, timeline,
};
use crate::{
    answer::{LeftRoom, Timeline, TimelineEvent},
    lazy::Known,
    plan::Departure,
};

/// What is told of a departure. None if the room's state does not name the user any more, so that
/// there is none.
pub(crate) fn left(
    look: &Look,
    source: &mut Source<'_, '_>,
    departure: &Departure,
    extras: &Extras,
    known: &mut Known,
) -> Found<Option<LeftRoom>> {
    let Some(number) = departure.membership.event else { return Ok(None) };
    let event = source.event(number)?;
    let id = event.pdu().room_id().to_owned();
    if !look.filter.rooms.matches(&id) {
        return Ok(None);
    }
    if !departure.was_inside {
        let timeline = only(look, event);
        let account_data = extras.account_data.clone();
        return Ok(Some(LeftRoom { id, timeline, state: Vec::new(), account_data }));
    }
    let (timeline, state) = inside(look, source, departure, &id, known)?;
    Ok(Some(LeftRoom { id, timeline, state, account_data: extras.account_data.clone() }))
}

/// The departure alone, which is all that somebody may see who was not in the room.
fn only(look: &Look, event: Arc<Event>) -> Timeline {
    let membership = event.pdu().membership();
    let events = vec![TimelineEvent { event, membership, transaction_id: None }];
    let known = look.since.unwrap_or(look.next);
    Timeline { events, limited: false, prev_batch: known.to_string() }
}

/// The room up to the departure.
fn inside(
    look: &Look,
    source: &mut Source<'_, '_>,
    departure: &Departure,
    id: &RoomId,
    known: &mut Known,
) -> Found<(Timeline, Vec<Arc<Event>>)> {
    let upto = departure.membership.position;
    let stretch = rows::Stretch {
        room: departure.room,
        id,
        since: departure.since,
        upto,
        joined_from: departure.since,
        group: None,
    };
    let slice = timeline::slice(look, source, stretch)?;
    let since = departure.since.filter(|_| !departure.whole_state);
    let whole_from = || before(slice.shown.start.unwrap_or(upto));
    let after = since.unwrap_or_else(whole_from);
    let moves = state::moves(look, source, departure.room, (after, upto))?.up_to_now();
    let is_whole = since.is_none() || look.filter.lazy.is_on();
    let end = if is_whole { state_at(look, source, departure)? } else { StateMap::new() };
    let wanted = state::Wanted { room: departure.room, id, since, state: &end, heroes: &[] };
    let state = state::state(look, source, wanted, (&moves, &slice), known)?;
    Ok((slice.timeline, state))
}

/// The room's state when the user left it.
fn state_at(look: &Look, source: &mut Source<'_, '_>, departure: &Departure) -> Found<StateMap> {
    let snapshot = source.snapshot()?;
    let position = departure.membership.position;
    match changes::group_at(snapshot, departure.room, position)? {
        Some(group) => Ok(look.inner.parts.rooms.groups().map(snapshot, group)?),
        None => Ok(StateMap::new()),
    }
}
