//! Which events of a timeline their reader may see, and what she was when they were sent (client-server API, "Room history
//! visibility", `unsigned.membership`).
//!
//! Only readers who are joined, or were up to the stretch's end, ask here; so whatever is visible to those who join later is
//! visible to them.

use std::{collections::HashMap, sync::Arc};

use proto::{
    number::{EventNumber, StateGroup, StateKeyNumber},
    visibility::{Circumstances, HistoryVisibility, Membership, may_see},
};
use room::Event;
use store::{
    Snapshot,
    numbers::HISTORY_VISIBILITY,
    room::{events, keys::member_key},
};

use super::{
    Found, Look, Source,
    timeline::{Candidate, Stretch},
};
use crate::{Error, answer::TimelineEvent};

/// What a state says to one reader.
#[derive(Clone, Copy)]
struct Outlook {
    visibility: HistoryVisibility,
    membership: Membership,
}

/// The states that were looked into for one timeline; most events share theirs with their neighbours.
struct Outlooks<'a> {
    look: &'a Look,
    own: StateKeyNumber,
    known: HashMap<StateGroup, Outlook>,
}

/// Those of the candidates that the reader may see, in the same order.
pub(crate) fn visible(
    look: &Look,
    source: &mut Source<'_, '_>,
    stretch: Stretch<'_>,
    candidates: Vec<Candidate>,
) -> Found<Vec<TimelineEvent>> {
    let own = member_key(look.requester.user());
    let mut outlooks = Outlooks { look, own, known: HashMap::new() };
    let mut seen = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let event = &candidate.event;
        let membership = match at_once(look, stretch, event, own) {
            Some(membership) => Some(membership),
            None => outlooks.ask(source, event)?,
        };
        if let Some(membership) = membership {
            seen.push(shown(look, candidate, membership));
        }
    }
    Ok(seen)
}

/// The reader's membership at an event of a stay that did not end, where the state before the event can only be the room's
/// own: nobody needs to look into it. Other servers' events may stand beside the room's history.
fn at_once(
    look: &Look,
    stretch: Stretch<'_>,
    event: &Event,
    own: StateKeyNumber,
) -> Option<Membership> {
    let position = u64::try_from(event.place?.position).ok()?;
    let within = stretch.joined_from.is_some_and(|from| position > from.0);
    let is_local = event.pdu().sender().server_name() == look.inner.parts.rooms.server_name();
    let is_current = event.group.is_some() && event.group == stretch.group;
    let is_certain = within && (is_local || is_current) && event.key != Some(own);
    is_certain.then_some(Membership::Join)
}

fn shown(look: &Look, candidate: Candidate, membership: Membership) -> TimelineEvent {
    let Candidate { event, txn } = candidate;
    let requester = &look.requester;
    let is_mine = event.pdu().sender() == requester.user_id();
    let txn = txn.filter(|txn| is_mine && *txn.device == *requester.device_id().as_str());
    let transaction_id = txn.map(|txn| Arc::from(&*txn.txn_id));
    TimelineEvent { event, membership: Some(membership), transaction_id }
}

impl Outlooks<'_> {
    /// The reader's membership at an event, if she may see it.
    fn ask(
        &mut self,
        source: &mut Source<'_, '_>,
        event: &Event,
    ) -> Found<Option<Membership>> {
        // Without a state around it nobody can tell who may see it.
        let Some(group) = event.group else { return Ok(None) };
        let snapshot = source.snapshot()?;
        let after = self.outlook(snapshot, group)?;
        let mut before = after;
        if event.key.is_some_and(|key| key == self.own || key == HISTORY_VISIBILITY) {
            let groups = self.look.inner.parts.rooms.groups();
            before = match groups.parent(snapshot, group).map_err(Error::from)? {
                Some(parent) => self.outlook(snapshot, parent)?,
                None => Outlook {
                    visibility: HistoryVisibility::default(),
                    membership: Membership::default(),
                },
            };
        }
        let may = may_see(Circumstances {
            visibility_before: before.visibility,
            visibility_after: after.visibility,
            membership_before: before.membership,
            membership_after: after.membership,
            joined_since: true,
        });
        // Whoever leaves or is removed sees that.
        let may = may || event.key == Some(self.own);
        Ok(may.then_some(after.membership))
    }

    fn outlook(&mut self, snapshot: &mut Snapshot<'_>, group: StateGroup) -> Found<Outlook> {
        if let Some(outlook) = self.known.get(&group) {
            return Ok(*outlook);
        }
        let visibility = self.event_in(snapshot, group, HISTORY_VISIBILITY)?;
        let visibility = visibility.map(|event| {
            let value = event.pdu().content_field::<String>("history_visibility");
            HistoryVisibility::parse(value.as_deref())
        });
        let member = self.event_in(snapshot, group, self.own)?;
        let membership = member.and_then(|event| event.pdu().membership());
        let outlook = Outlook {
            visibility: visibility.unwrap_or_default(),
            membership: membership.unwrap_or_default(),
        };
        self.known.insert(group, outlook);
        Ok(outlook)
    }

    fn event_in(
        &self,
        snapshot: &mut Snapshot<'_>,
        group: StateGroup,
        key: StateKeyNumber,
    ) -> Found<Option<Arc<Event>>> {
        let rooms = &self.look.inner.parts.rooms;
        let number: Option<EventNumber> = rooms.groups().get(snapshot, group, key)?;
        Ok(number.map(|number| events::load(snapshot, rooms.events(), number)).transpose()?)
    }
}
