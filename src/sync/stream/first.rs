//! The first step: what moved for the user herself, what the streams beside the timelines have for
//! her rooms, and so which rooms belong into the answer.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use proto::number::{Position, RoomNumber};
use room::{Event, Membership as State};
use store::{room::members, sync::places};

use super::{Found, Look, Source, account_data, joined::Extras, own, receipts, typing};
use crate::{
    answer::AccountDatum,
    membership::Membership,
    plan::{Archived, Plan, Scope},
    token::TypingShown,
};

/// What the first step finds.
pub(crate) struct First {
    pub(crate) plan: Plan,
    pub(crate) account_data: Vec<AccountDatum>,
    pub(crate) extras: HashMap<RoomNumber, Extras>,
    /// Whom the client shows as typing after that.
    pub(crate) typing: TypingShown,
}

/// Takes the first step.
pub(crate) fn first(look: &Look, source: &mut Source<'_, '_>) -> Found<First> {
    let passages = own::passages(look, source)?;
    let mut entries = account_data::changed(look, source)?;
    let account_data = entries.remove(&None).unwrap_or_default();
    let mut extras = HashMap::<RoomNumber, Extras>::new();
    for (room, data) in entries {
        if let Some(room) = room {
            extras.entry(room).or_default().account_data = data;
        }
    }
    let typing = typing::typing(look);
    for (room, event) in typing.events {
        extras.entry(room).or_default().ephemeral.push(event);
    }
    for (room, events) in receipts::moved(look, source)? {
        extras.entry(room).or_default().ephemeral.extend(events);
    }
    let scope =
        Scope { since: look.since.map(|since| since.position), full_state: look.full_state };
    let mut touched = touched(look, source, scope.since)?;
    touched.extend(extras.keys());
    let archived = archived(look, source, scope)?;
    let plan = Plan::new(&look.memberships, &passages, scope, &touched, &archived);
    Ok(First { plan, account_data, extras, typing: typing.shown })
}

/// The joined rooms in which anything happened since the token.
fn touched(
    look: &Look,
    source: &mut Source<'_, '_>,
    since: Option<Position>,
) -> Found<HashSet<RoomNumber>> {
    if let Some(news) = &look.news {
        return Ok(news.rooms.keys().copied().collect());
    }
    let Some(since) = since else { return Ok(HashSet::new()) };
    let joined = look.memberships.iter().filter(|(_, membership)| membership.is_joined());
    let joined = joined.map(|(room, _)| *room).collect::<Vec<_>>();
    let moved = places::moved_rooms(source.snapshot()?, &joined, since)?;
    Ok(moved.into_iter().collect())
}

/// The rooms that were left before and belong into an answer to somebody who asks for everything,
/// with where the last stay ended: those that she was removed from, and the others if the filter
/// wants them.
fn archived(
    look: &Look,
    source: &mut Source<'_, '_>,
    scope: Scope,
) -> Found<HashMap<RoomNumber, Archived>> {
    if !scope.is_everything() {
        return Ok(HashMap::new());
    }
    let is_left = |membership: &&Membership| matches!(membership.state, State::Leave | State::Ban);
    let numbers = look.memberships.values().filter(is_left).filter_map(|left| left.event);
    let events = source.events(&numbers.collect::<Vec<_>>())?;
    let me = look.requester.user_id();
    let belongs = |event: &&Arc<Event>| look.filter.include_leave || event.pdu().sender() != me;
    let mut archived = HashMap::new();
    for room in events.iter().filter(belongs).map(|event| event.room) {
        let row = members::find(source.snapshot()?, room, look.requester.user())?;
        let end = row.and_then(|row| row.joined_until);
        // What happened after the answer's position is not told yet.
        let stay_end = end.filter(|end| *end <= look.next.position);
        archived.insert(room, Archived { stay_end });
    }
    Ok(archived)
}
