//! The second step: the rooms that belong into the answer are opened and filled.

use std::{collections::HashMap, sync::Arc};

use proto::number::RoomNumber;
use room::RoomView;

use super::{
    Found, Look, Source, account_data,
    first::First,
    joined::{Extras, Joined, joined},
    left::left,
    presence::{Newcomers, presence},
    receipts,
    stripped::stripped,
    typing,
};
use crate::{
    Error,
    answer::{AccountDatum, Answer},
    lazy::Known,
    membership::Membership,
    plan::{Departure, Visit},
    token::{SyncToken, TypingShown},
};

/// The rooms of an answer, opened.
pub(crate) struct Opened {
    account_data: Vec<AccountDatum>,
    joined: Vec<Joined>,
    invited: Vec<Outside>,
    knocked: Vec<Outside>,
    left: Vec<(Departure, Extras)>,
    typing: TypingShown,
}

/// A room that the user is not in; its view if this server is.
struct Outside {
    membership: Membership,
    view: Option<Arc<RoomView>>,
}

/// Opens the rooms. Their views are taken before anything else is read; whatever a view contains
/// has its place in the log by the time that this returns.
pub(crate) async fn open(look: &Look, first: First) -> Result<Opened, Error> {
    let First { plan, account_data, mut extras, typing } = first;
    let mut newest = look.next.position;
    let mut views = HashMap::new();
    let wanted = plan.joined.iter().map(|visit| visit.room);
    let wanted = wanted.chain(plan.invited.iter().chain(&plan.knocked).map(|(room, _)| *room));
    for number in wanted.collect::<Vec<_>>() {
        if let Some(room) = look.inner.parts.rooms.find_by_number(number).await? {
            views.insert(number, room.view());
            newest = newest.max(room.position());
        }
    }
    look.inner.notifier.reach(newest, look.inner.parts.store.log()).await;
    let left = remembered(look, plan.left).await?;
    let outside = |rooms: Vec<(RoomNumber, Membership)>| {
        let outside = |(room, membership)| {
            let view: Option<&Arc<RoomView>> = views.get(&room);
            Outside { membership, view: view.cloned() }
        };
        rooms.into_iter().map(outside).collect()
    };
    let (invited, knocked) = (outside(plan.invited), outside(plan.knocked));
    let mut extras = |room: RoomNumber| extras.remove(&room).unwrap_or_default();
    let left = left.into_iter().map(|departure| (departure, extras(departure.room))).collect();
    let open = |visit: Visit| {
        let view = views.get(&visit.room)?;
        let is_wanted = look.filter.rooms.matches(view.id());
        let joined = || Joined { visit, view: Arc::clone(view), extras: extras(visit.room) };
        is_wanted.then(joined)
    };
    let joined = plan.joined.into_iter().filter_map(open).collect();
    Ok(Opened { account_data, joined, invited, knocked, left, typing })
}

/// The departures that the user has not forgotten. A client that still knows the room as joined is
/// told of its end all the same, once: another device of the user may have been quick to forget.
async fn remembered(look: &Look, mut left: Vec<Departure>) -> Result<Vec<Departure>, Error> {
    let since = look.since.map(|since| since.position);
    let is_new =
        |departure: &Departure| since.is_some_and(|since| departure.membership.position > since);
    if !left.iter().all(is_new) {
        let rooms = look.inner.parts.rooms.memberships(look.requester.user()).await?;
        let is_forgotten =
            |departure: &Departure| rooms.get(&departure.room).is_none_or(|room| room.forgotten);
        left.retain(|departure| is_new(departure) || !is_forgotten(departure));
    }
    Ok(left)
}

/// Fills the rooms. With the answer come the members whom the client has once it gets it.
pub(crate) fn second(
    look: &Look,
    source: &mut Source<'_, '_>,
    opened: &Opened,
) -> Found<(Answer, Known)> {
    let mut known = look.known();
    let mut newcomers = Newcomers::default();
    let (mut extras, typing) = new_rooms(look, source, opened)?;
    let mut answer = Answer::new(SyncToken { typing, ..look.next });
    for room in &opened.joined {
        let extras = extras.remove(&room.visit.room);
        if room.visit.whole_state {
            newcomers.rooms.push(Arc::clone(&room.view));
        }
        let extras = extras.as_ref().unwrap_or(&room.extras);
        let users = &mut newcomers.users;
        answer.joined.extend(joined(look, source, (room, extras), &mut known, users)?);
    }
    for (departure, extras) in &opened.left {
        answer.left.extend(left(look, source, departure, extras, &mut known)?);
    }
    for Outside { membership, view } in &opened.invited {
        answer.invited.extend(stripped(look, source, membership, view.as_deref())?);
    }
    for Outside { membership, view } in &opened.knocked {
        answer.knocked.extend(stripped(look, source, membership, view.as_deref())?);
    }
    answer.presence = presence(look, &newcomers);
    answer.account_data.clone_from(&opened.account_data);
    Ok((answer, known))
}

/// What the streams beside the timeline have in rooms that the client does not know: everything,
/// not only what changed. With it comes whom the client shows as typing after that.
fn new_rooms(
    look: &Look,
    source: &mut Source<'_, '_>,
    opened: &Opened,
) -> Found<(HashMap<RoomNumber, Extras>, TypingShown)> {
    let new = opened.joined.iter().filter(|room| room.visit.since.is_none());
    let rooms = new.clone().map(|room| room.visit.room).collect::<Vec<_>>();
    let mut receipts = receipts::in_rooms(look, source, &rooms)?;
    let (mut found, mut shown) = (HashMap::new(), opened.typing);
    for room in new {
        let number = room.visit.room;
        let account_data = match look.since {
            Some(_) => account_data::in_room(look, source, number)?,
            // The first step has listed everything.
            None => room.extras.account_data.clone(),
        };
        let typing = typing::typing_in(look, number, &mut shown);
        let mut ephemeral = typing.into_iter().collect::<Vec<_>>();
        ephemeral.extend(receipts.remove(&number).unwrap_or_default());
        found.insert(number, Extras { ephemeral, account_data });
    }
    Ok((found, shown))
}
