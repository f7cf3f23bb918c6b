//! Timelines: the newest events of a room since a position, as far as their reader wants and may
//! see them.
//!
//! Invariant: what is shown is a gapless end of the room's order of arrival, but for events that
//! the filter or the history visibility keeps out; where more came than the limit allows, `limited`
//! says so and `prev_batch` leads there. It says so as well to whoever left and came back, since
//! what is shown may be what the client has already.

use std::{collections::HashMap, sync::Arc};

use proto::number::{EventNumber, RoomNumber};
use room::{Event, Membership, PageToken, Place};
use store::{
    room::txns,
    sync::{moves::Move, places},
};

use super::{
    Found, Look, Missing, Source,
    rows::{Candidate, Rows, Stretch, position},
    sight::Sight,
};
use crate::{
    answer::{Timeline, TimelineEvent},
    delta::{Shown, overtaken},
};

/// Rows of one room that are looked at for one answer; a filter that lets fewer pass gets a limited
/// timeline.
const ROWS_MAX: usize = 2_000;
/// Rows that are read at once beyond those that are wanted, since some may not pass.
const ROWS_MARGIN: usize = 10;

/// What is shown of a room, and what the state needs to know of it.
pub(crate) struct Slice {
    pub(crate) timeline: Timeline,
    pub(crate) shown: Shown,
}

/// The newest events of a stretch.
pub(crate) fn slice(
    look: &Look,
    source: &mut Source<'_, '_>,
    stretch: Stretch<'_>,
) -> Found<Slice> {
    let limit = look.filter.timeline_limit;
    let mut rows = Rows::new(look, stretch);
    let mut sight = Sight::new(look, stretch);
    let (mut picked, mut is_cut, mut looked_at) = (Vec::new(), false, 0);
    // One more than wanted tells whether there are more.
    while is_wanted(look, stretch) && picked.len() <= limit && !is_cut {
        let candidates = rows.next(source, limit + 1 - picked.len() + ROWS_MARGIN)?;
        if candidates.is_empty() {
            break;
        }
        looked_at += candidates.len();
        is_cut = looked_at >= ROWS_MAX;
        picked.extend(sight.visible(source, filtered(look, candidates))?);
    }
    is_cut |= picked.len() > limit;
    picked.truncate(limit);
    picked.reverse();
    add_transactions(look, source, &rows.read, &mut picked)?;
    finish(look, source, stretch, (picked, is_cut))
}

/// Begins the timeline later where it would mislead a client that is told the state before it: it
/// has state events that something out of sight has replaced, as happens to whoever was away.
pub(crate) fn without_overtaken(
    look: &Look,
    source: &mut Source<'_, '_>,
    stretch: Stretch<'_>,
    (slice, moves): (Slice, &[Move]),
) -> Found<Slice> {
    let overtaken = overtaken(moves, &slice.shown);
    let mut events = slice.timeline.events;
    let last = events.iter().rposition(|one| overtaken.contains(&one.event.number()));
    let Some(last) = last.filter(|_| !look.state.is_after()) else {
        return Ok(Slice { timeline: Timeline { events, ..slice.timeline }, ..slice });
    };
    events.drain(..=last);
    finish(look, source, stretch, (events, true))
}

/// Whether any event of the room can be in the timeline.
fn is_wanted(look: &Look, stretch: Stretch<'_>) -> bool {
    let filter = &look.filter.timeline;
    !filter.is_nothing() && filter.matches_room(stretch.id)
}

/// Leaves out what the filter does not want and what ignored users sent; state everybody has to
/// know.
fn filtered(look: &Look, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| {
        let pdu = candidate.event.pdu();
        (pdu.is_state() || !look.ignored.contains(pdu.sender()))
            && look.filter.timeline.matches(pdu)
    });
    candidates
}

/// Looks up the transaction ids of what the reader's device sent, where they are not in memory.
fn add_transactions(
    look: &Look,
    source: &mut Source<'_, '_>,
    read: &[EventNumber],
    picked: &mut [TimelineEvent],
) -> Found<()> {
    let me = look.requester.user_id();
    let mine = |picked: &&TimelineEvent| {
        picked.event.pdu().sender() == me && read.contains(&picked.event.number())
    };
    let numbers =
        picked.iter().filter(|one| mine(one)).map(|one| one.event.number()).collect::<Vec<_>>();
    if numbers.is_empty() {
        return Ok(());
    }
    let device = look.requester.device_id();
    let found = txns::list_of_events(source.snapshot()?, &numbers, device)?;
    let found = found.into_iter().collect::<HashMap<_, _>>();
    for one in picked {
        if let Some(txn_id) = found.get(&one.event.number()) {
            one.transaction_id = Some(Arc::from(&**txn_id));
        }
    }
    Ok(())
}

fn finish(
    look: &Look,
    source: &mut Source<'_, '_>,
    stretch: Stretch<'_>,
    (events, is_cut): (Vec<TimelineEvent>, bool),
) -> Found<Slice> {
    let first = events.first().and_then(|first| first.event.place);
    // To somebody who does not know the room everything before is a gap, unless the timeline has
    // its very first event.
    let begins =
        events.first().is_some_and(|first| first.event.pdu().is_state_of("m.room.create", ""));
    let is_gap = !begins || was_here(look, &events);
    let is_new = stretch.since.is_none() && is_wanted(look, stretch) && is_gap;
    let limited = is_cut || is_new;
    let prev_batch = match (first, look.since, stretch.since) {
        (Some(first), ..) if limited || begins => {
            let is_own = is_local(look, &events);
            place_before(source, (stretch.room, first), is_own)?.to_string()
        }
        // Nothing lies between the token and the first event.
        (_, Some(since), Some(_)) if !limited => since.to_string(),
        _ => look.next.to_string(),
    };
    let state = events.iter().map(|one| &one.event).filter(|event| event.key.is_some());
    let shown =
        Shown { start: first.map(position), state: state.map(|event| event.number()).collect() };
    Ok(Slice { timeline: Timeline { events, limited, prev_batch }, shown })
}

/// Whether the reader joined the room before the token, so that the client may have some of this.
fn was_here(look: &Look, events: &[TimelineEvent]) -> bool {
    let me = look.requester.user_id().as_str();
    let is_early = |event: &Event| {
        let place = event.place.map(position);
        place.is_some_and(|place| look.since.is_some_and(|since| place <= since.position))
    };
    events.iter().map(|one| &*one.event).any(|event| {
        event.pdu().is_state_of("m.room.member", me)
            && event.pdu().membership() == Some(Membership::Join)
            && is_early(event)
    })
}

/// Whether the first event came from a user of this server, and so after all events that were here.
fn is_local(look: &Look, events: &[TimelineEvent]) -> bool {
    let rooms = &look.inner.parts.rooms;
    events.first().is_some_and(|first| rooms.is_local(first.event.pdu().sender()))
}

/// The place behind everything that came before an event. In the order of places, some of that may
/// stand behind the event where the room's history forks; whoever pages back from here then gets
/// events twice, but misses none.
fn place_before(
    source: &mut Source<'_, '_>,
    (room, first): (RoomNumber, Place),
    is_own: bool,
) -> Found<PageToken> {
    let before = Place { position: first.position - 1, ..first };
    if is_own {
        return Ok(PageToken(before));
    }
    let deeper = places::deepest_before(source.snapshot()?, room, first).map_err(Missing::from)?;
    Ok(PageToken(deeper.unwrap_or(before)))
}
