//! The state of a room that an answer carries: what changed since the token, or all of it; with
//! lazy loading only those members whom the timeline needs.
//!
//! Invariant: with the timeline applied to it (not with `state_after`), the client has the room's
//! state at the answer's position, members left out by lazy loading excepted. A member who changed
//! in a gap is never left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proto::{
    number::{EventNumber, Position, RoomNumber, StateKeyNumber},
    state::StateMap,
};
use room::{Event, Membership};
use ruma::{OwnedUserId, RoomId};
use store::{
    Change,
    room::keys::{key_user, member_key},
    sync::moves::{self, Move},
};

use super::{Found, Look, Source};
use crate::{
    answer::TimelineEvent,
    delta::{changed_after, changed_before, rolled_back, whole_before},
    filter::LazyMembers,
    lazy::Known,
    stream::timeline::Slice,
};

/// The state events that an answer carries, by key.
type Picked = BTreeMap<StateKeyNumber, EventNumber>;

/// Which state of a room is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) room: RoomNumber,
    pub(crate) id: &'a RoomId,
    /// Up to here the client knows the state; none if all of it is due.
    pub(crate) since: Option<Position>,
    /// The state at the answer's end or later: moves since then are undone.
    pub(crate) state: &'a StateMap,
    /// Members whom the summary names.
    pub(crate) heroes: &'a [StateKeyNumber],
}

/// The moves of a room's state around one answer.
pub(crate) struct Moves {
    /// Those up to the answer's end.
    pub(crate) now: Vec<Move>,
    /// Those after it, which the state that is at hand may contain.
    later: Vec<Move>,
}

impl Moves {
    /// The moves up to the end of a stay, and those of one key after it.
    pub(crate) fn of_stay(mut self, end: Position, own: StateKeyNumber) -> Self {
        self.now.retain(|step| step.position <= end || step.key == own);
        self.later.clear();
        self
    }
}

/// The moves since the token, or since the timeline's start where all of the state is due.
pub(crate) fn moves(
    look: &Look,
    source: &mut Source<'_, '_>,
    room: RoomNumber,
    (after, upto): (Position, Position),
) -> Found<Moves> {
    let all = match look.inner.notifier.room_since(room, after) {
        Some(records) => records.iter().filter_map(|record| as_move(record)).collect(),
        None => moves::since(source.snapshot()?, room, after)?,
    };
    let (now, later) = all.into_iter().partition(|step: &Move| step.position <= upto);
    Ok(Moves { now, later })
}

fn as_move(record: &store::Record) -> Option<Move> {
    match &record.change {
        Change::State { key, old, new, .. } => {
            Some(Move { position: record.position, key: *key, old: *old, new: *new })
        }
        _ => None,
    }
}

/// The state events of an answer.
pub(crate) fn state(
    look: &Look,
    source: &mut Source<'_, '_>,
    wanted: Wanted<'_>,
    (moves, slice): (&Moves, &Slice),
    known: &mut Known,
) -> Found<Vec<Arc<Event>>> {
    let end = rolled_back(wanted.state, &moves.later);
    let is_after = look.state.is_after();
    let is_lazy = look.filter.lazy.is_on();
    let mut needed =
        if is_lazy { needed(look, source, &slice.timeline.events)? } else { BTreeSet::new() };
    needed.extend(wanted.heroes);
    let picked = if wanted.since.is_none() {
        let whole = if is_after { end } else { whole_before(&end, &moves.now, &slice.shown) };
        if is_lazy {
            whole_lazily(look, wanted, &whole, needed, known)
        } else {
            whole.into_iter().collect()
        }
    } else {
        let mut changed = if is_after {
            changed_after(&moves.now)
        } else {
            changed_before(&moves.now, &slice.shown)
        };
        if is_lazy {
            let at = if is_after { end } else { at_start(&end, moves, slice) };
            add_members(look, wanted.room, &at, needed, (&mut changed, known));
        }
        changed
    };
    let events = source.events(&picked.values().copied().collect::<Vec<_>>())?;
    let events = wanted_events(look, wanted.id, events);
    if is_lazy {
        // Whoever is told the state after the timeline takes no state from it.
        let timeline = if is_after { &[] } else { &*slice.timeline.events };
        let shown = timeline.iter().map(|one| &one.event);
        note_members(wanted.room, events.iter().chain(shown), known);
    }
    Ok(events)
}

/// The state right before the timeline's first event.
fn at_start(end: &StateMap, moves: &Moves, slice: &Slice) -> StateMap {
    let Some(start) = slice.shown.start else { return end.clone() };
    let first = moves.now.partition_point(|step| step.position < start);
    rolled_back(end, &moves.now[first..])
}

/// The members whom the timeline needs.
fn needed(
    look: &Look,
    source: &mut Source<'_, '_>,
    timeline: &[TimelineEvent],
) -> Found<BTreeSet<StateKeyNumber>> {
    if look.filter.state.is_nothing() {
        return Ok(BTreeSet::new());
    }
    let senders = source.users(timeline.iter().map(|one| one.event.pdu().sender()))?;
    Ok(senders.into_values().map(member_key).collect())
}

/// What of a whole state somebody gets who wants only those members whom somebody needs. However
/// many members there are, only those are looked at.
fn whole_lazily(
    look: &Look,
    wanted: Wanted<'_>,
    whole: &StateMap,
    mut needed: BTreeSet<StateKeyNumber>,
    known: &mut Known,
) -> Picked {
    // To somebody who gets the whole state nothing is redundant.
    known.retain(|(room, _), _| *room != wanted.room);
    needed.insert(member_key(look.requester.user()));
    // The keys of members are those below 0.
    let others = whole.range(StateKeyNumber(0)..).map(|(key, event)| (*key, *event));
    let members = needed.into_iter().filter_map(|key| Some((key, *whole.get(&key)?)));
    others.chain(members).collect()
}

/// Adds those members whom somebody needs and whom the client does not have.
fn add_members(
    look: &Look,
    room: RoomNumber,
    at: &StateMap,
    needed: BTreeSet<StateKeyNumber>,
    (picked, known): (&mut Picked, &Known),
) {
    for key in needed {
        let Some(event) = at.get(&key).copied() else { continue };
        let is_known = known.get(&(room, key)) == Some(&event);
        if look.filter.lazy == LazyMembers::Redundant || !is_known {
            picked.entry(key).or_insert(event);
        }
    }
}

/// Leaves out what the filter does not want.
pub(crate) fn wanted_events(
    look: &Look,
    room: &RoomId,
    mut events: Vec<Arc<Event>>,
) -> Vec<Arc<Event>> {
    let filter = &look.filter.state;
    if !filter.matches_room(room) {
        return Vec::new();
    }
    events.retain(|event| filter.matches(event.pdu()));
    events
}

/// The client has these members now.
fn note_members<'e>(
    room: RoomNumber,
    events: impl Iterator<Item = &'e Arc<Event>>,
    known: &mut Known,
) {
    for event in events {
        if let Some(key) = event.key.filter(|key| key_user(*key).is_some()) {
            known.insert((room, key), event.number());
        }
    }
}

/// Who joined by these moves and is still there.
pub(crate) fn newcomers(source: &mut Source<'_, '_>, moves: &Moves) -> Found<Vec<OwnedUserId>> {
    let members = moves.now.iter().filter(|step| key_user(step.key).is_some());
    let newest = members.map(|step| (step.key, step.new)).collect::<BTreeMap<_, _>>();
    let numbers = newest.into_values().flatten().collect::<Vec<_>>();
    let events = source.events(&numbers)?;
    let joined = events.iter().filter(|event| event.pdu().membership() == Some(Membership::Join));
    let user = |event: &Arc<Event>| OwnedUserId::try_from(event.pdu().state_key()?).ok();
    Ok(joined.filter_map(user).collect())
}
