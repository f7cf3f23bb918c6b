//! Rooms that the user has left, or was removed from: the timeline up to her departure, and the
//! state that belongs to it.
//!
//! Invariant: nothing that happened after the user's stay is told, but for what became of herself:
//! who left may have been banned later.

use std::sync::Arc;

use proto::{
    number::{Position, RoomNumber},
    state::StateMap,
};
use room::Event;
use ruma::RoomId;
use store::room::{changes, keys::member_key};

use super::{
    Found, Look, Source,
    joined::{Extras, before},
    rows, state, timeline,
};
use crate::{
    answer::{LeftRoom, Timeline, TimelineEvent},
    lazy::Known,
    plan::{Departure, Stay},
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
    let (timeline, state) = match departure.stay {
        Some(stay) => inside(look, source, (departure, stay), &id, known)?,
        None => only(look, &id, event),
    };
    Ok(Some(LeftRoom { id, timeline, state, account_data: extras.account_data.clone() }))
}

/// The departure alone, which is all that somebody may see who was not in the room. If it is not
/// in the timeline, it is in the state.
fn only(look: &Look, id: &RoomId, event: Arc<Event>) -> (Timeline, Vec<Arc<Event>>) {
    let filter = &look.filter;
    let is_wanted = !filter.timeline.is_nothing() && filter.timeline.matches(event.pdu());
    let is_shown = is_wanted && filter.timeline_limit > 0;
    let is_told = look.state.is_after() || !is_shown;
    let state = is_told.then(|| Arc::clone(&event)).into_iter().collect();
    let membership = event.pdu().membership();
    let shown = is_shown.then_some(TimelineEvent { event, membership, transaction_id: None });
    let known = look.since.unwrap_or(look.next);
    let timeline = Timeline {
        events: shown.into_iter().collect(),
        limited: is_wanted && !is_shown,
        prev_batch: known.to_string(),
    };
    (timeline, state::wanted_events(look, id, state))
}

/// The room up to the stay's end, and the departure.
fn inside(
    look: &Look,
    source: &mut Source<'_, '_>,
    (departure, stay): (&Departure, Stay),
    id: &RoomId,
    known: &mut Known,
) -> Found<(Timeline, Vec<Arc<Event>>)> {
    let upto = departure.membership.position;
    let stretch = rows::Stretch {
        room: departure.room,
        id,
        since: departure.since,
        upto,
        joined_from: departure.since.filter(|_| stay.is_whole),
        stay_end: Some(stay.end),
        group: None,
    };
    let slice = timeline::slice(look, source, stretch)?;
    let since = departure.since.filter(|_| !departure.whole_state);
    let whole_from = || before(slice.shown.start.unwrap_or(upto));
    let after = since.unwrap_or_else(whole_from);
    let own = member_key(look.requester.user());
    let moves = state::moves(look, source, departure.room, (after, upto))?.of_stay(stay.end, own);
    let slice = timeline::without_overtaken(look, source, stretch, (slice, &moves.now))?;
    let is_whole = since.is_none() || look.filter.lazy.is_on();
    let mut end = StateMap::new();
    if is_whole {
        end = state_at(look, source, departure.room, stay.end)?;
        end.extend(departure.membership.event.map(|event| (own, event)));
    }
    let wanted = state::Wanted { room: departure.room, id, since, state: &end, heroes: &[] };
    let state = state::state(look, source, wanted, (&moves, &slice), known)?;
    Ok((slice.timeline, state))
}

/// A room's state at a position.
fn state_at(
    look: &Look,
    source: &mut Source<'_, '_>,
    room: RoomNumber,
    position: Position,
) -> Found<StateMap> {
    let snapshot = source.snapshot()?;
    match changes::group_at(snapshot, room, position)? {
        Some(group) => Ok(look.inner.parts.rooms.groups().map(snapshot, group)?),
        None => Ok(StateMap::new()),
    }
}
