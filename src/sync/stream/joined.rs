//! Rooms that the user is joined to: timeline, state, summary, and what the other streams have
//! found for them.

use std::{collections::HashSet, sync::Arc};

use proto::number::Position;
use room::RoomView;
use ruma::OwnedUserId;

use super::{Found, Look, Source, rows, state, summary, timeline};
use crate::{
    answer::{AccountDatum, JoinedRoom},
    lazy::Known,
    plan::Visit,
};

/// What the other streams have found for one room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// Typing and receipts, serialised.
    pub(crate) ephemeral: Vec<String>,
    pub(crate) account_data: Vec<AccountDatum>,
}

/// A room to be told about.
pub(crate) struct Joined {
    pub(crate) visit: Visit,
    /// Taken before anything else is read, so that the moves that are read cover it.
    pub(crate) view: Arc<RoomView>,
    pub(crate) extras: Extras,
}

/// What is told of a room, if there is anything. `newcomers` gets those who joined a room that the
/// client knew.
pub(crate) fn joined(
    look: &Look,
    source: &mut Source<'_, '_>,
    (room, extras): (&Joined, &Extras),
    known: &mut Known,
    newcomers: &mut HashSet<OwnedUserId>,
) -> Found<Option<JoinedRoom>> {
    let Joined { visit, view, .. } = room;
    let upto = look.next.position;
    let stretch = rows::Stretch {
        room: visit.room,
        id: view.id(),
        since: visit.since,
        upto,
        joined_from: Some(visit.since.unwrap_or(visit.membership.position)),
        stay_end: None,
        group: view.is_joined(look.requester.user()).then_some(view.group()),
    };
    let slice = timeline::slice(look, source, stretch)?;
    let whole_from = || before(slice.shown.start.unwrap_or(upto));
    let since = visit.since.filter(|_| !visit.whole_state);
    let after = since.unwrap_or_else(whole_from);
    let moves = state::moves(look, source, visit.room, (after, upto))?;
    let slice = timeline::without_overtaken(look, source, stretch, (slice, &moves.now))?;
    if visit.since.is_some() {
        newcomers.extend(state::newcomers(source, &moves)?);
    }
    let is_told = visit.whole_state
        || summary::is_moved(&moves.now)
        || summary::is_unnamed(source, view, after)?;
    let summary = is_told.then(|| summary::summary(look, source, view)).transpose()?;
    let (summary, heroes) = summary.unzip();
    let wanted = state::Wanted {
        room: visit.room,
        id: view.id(),
        since,
        state: view.state(),
        heroes: heroes.as_deref().unwrap_or_default(),
    };
    let state = state::state(look, source, wanted, (&moves, &slice), known)?;
    let filter = &look.filter;
    let ephemeral = if filter.ephemeral.matches_room(view.id()) { &*extras.ephemeral } else { &[] };
    let account_data =
        if filter.room_account_data.matches_room(view.id()) { &*extras.account_data } else { &[] };
    let told = JoinedRoom {
        id: view.id().to_owned(),
        summary,
        timeline: slice.timeline,
        state,
        ephemeral: ephemeral.to_owned(),
        account_data: account_data.to_owned(),
        by_thread: filter.by_thread,
    };
    Ok((visit.whole_state || !told.is_empty()).then_some(told))
}

/// The position before one.
pub(super) fn before(position: Position) -> Position {
    Position(position.0.saturating_sub(1))
}
