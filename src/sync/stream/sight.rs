//! Which events of a timeline their reader may see, and what she was when they were sent
//! (client-server API, "Room history visibility", `unsigned.membership`).
//!
//! Only readers who are or were in the room ask here. Those who left get nothing of what came after
//! their stay, not even where everybody may read it, but for what became of themselves.

use std::sync::Arc;

use proto::{
    number::{Position, StateKeyNumber},
    visibility::Membership,
};
use room::{Event, visibility::Eye};
use store::room::keys::member_key;

use super::{
    Found, Look, Source,
    rows::{Candidate, Stretch, position},
};
use crate::answer::TimelineEvent;

/// A reader of one stretch.
pub(crate) struct Sight<'a> {
    look: &'a Look,
    stretch: Stretch<'a>,
    own: StateKeyNumber,
    eye: Eye,
}

impl<'a> Sight<'a> {
    pub(crate) fn new(look: &'a Look, stretch: Stretch<'a>) -> Self {
        let (user, sight) = (look.requester.user(), look.inner.parts.rooms.sight());
        let now = if stretch.stay_end.is_some() { Membership::Leave } else { Membership::Join };
        let eye = Eye::new(sight, Some(user), now, stretch.stay_end);
        Self { look, stretch, own: member_key(user), eye }
    }

    /// Those of the candidates that the reader may see, in the same order.
    pub(crate) fn visible(
        &mut self,
        source: &mut Source<'_, '_>,
        candidates: Vec<Candidate>,
    ) -> Found<Vec<TimelineEvent>> {
        let mut seen = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let event = &candidate.event;
            if self.is_past(event) {
                continue;
            }
            let membership = match self.at_once(event) {
                Some(membership) => Some(membership),
                None => self.eye.look(source.snapshot()?, event)?,
            };
            seen.extend(membership.map(|membership| self.shown(candidate, membership)));
        }
        Ok(seen)
    }

    /// Whether the event came after the reader's stay and is not about her.
    fn is_past(&self, event: &Event) -> bool {
        let place = event.place.map(position);
        let is_later = |end: Position| place.is_some_and(|place| place > end);
        event.key != Some(self.own) && self.stretch.stay_end.is_some_and(is_later)
    }

    /// The reader's membership at an event of a stay without a break, where the state before the
    /// event can only be the room's own: nobody needs to look into it. Other servers' events may
    /// stand beside the room's history.
    fn at_once(&self, event: &Event) -> Option<Membership> {
        let position = u64::try_from(event.place?.position).ok()?;
        let within = self.stretch.joined_from.is_some_and(|from| position > from.0);
        let is_local = self.look.inner.parts.rooms.is_local(event.pdu().sender());
        let is_current = event.group.is_some() && event.group == self.stretch.group;
        let is_certain = within && (is_local || is_current) && event.key != Some(self.own);
        is_certain.then_some(Membership::Join)
    }

    fn shown(&self, candidate: Candidate, membership: Membership) -> TimelineEvent {
        let Candidate { event, txn } = candidate;
        let event = self.eye.show(&event, membership);
        let requester = &self.look.requester;
        let is_mine = event.pdu().sender() == requester.user_id();
        let txn = txn.filter(|txn| is_mine && *txn.device == *requester.device_id().as_str());
        let transaction_id = txn.map(|txn| Arc::from(&*txn.txn_id));
        TimelineEvent { event, membership: Some(membership), transaction_id }
    }
}
