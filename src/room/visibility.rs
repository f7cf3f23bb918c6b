//! Which events a reader may see, and what the reader was when they were sent.
//!
//! Spec: client-server API, "Room history visibility".

use std::{collections::HashMap, sync::Arc};

use proto::{
    number::{EventNumber, Position, StateGroup, StateKeyNumber, UserNumber},
    visibility::{Circumstances, HistoryVisibility, Membership, may_see},
};
use store::{
    Snapshot,
    numbers::HISTORY_VISIBILITY,
    room::{
        cache::EventCache,
        event::{Body, Event},
        events,
        groups::GroupCache,
        keys::member_key,
    },
};

use crate::{Policy, coverage::CoverageCache};

/// The caches that reading goes through.
#[derive(Clone)]
pub struct Sight {
    pub(crate) events: EventCache,
    pub(crate) groups: GroupCache,
    pub(crate) coverages: CoverageCache,
    pub(crate) policy: Arc<dyn Policy>,
}

/// What a state says to one reader.
#[derive(Clone, Copy, Default)]
struct Outlook {
    visibility: HistoryVisibility,
    membership: Membership,
}

/// A reader of one room, with the states that were looked into; most events share theirs with their
/// neighbours.
pub struct Eye {
    sight: Sight,
    /// The reader's member key; `None` for somebody whom the store does not know.
    own: Option<StateKeyNumber>,
    joined: bool,
    joined_until: Option<Position>,
    known: HashMap<StateGroup, Outlook>,
}

impl Eye {
    /// A reader with a present membership and the end of the last stay.
    pub fn new(
        sight: Sight,
        user: Option<UserNumber>,
        membership: Membership,
        joined_until: Option<Position>,
    ) -> Self {
        let joined = membership == Membership::Join;
        Self { sight, own: user.map(member_key), joined, joined_until, known: HashMap::new() }
    }

    /// The reader's membership when an event was sent, if the reader may see the event.
    pub fn look(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        event: &Event,
    ) -> Result<Option<Membership>, store::Error> {
        // Without a state around it nobody can tell who may see it.
        let Some(group) = event.group else { return Ok(None) };
        let after = self.outlook(snapshot, group)?;
        let is_own = event.key.is_some() && event.key == self.own;
        let mut before = after;
        if is_own || event.key == Some(HISTORY_VISIBILITY) {
            before = match self.sight.groups.parent(snapshot, group)? {
                Some(parent) => self.outlook(snapshot, parent)?,
                None => Outlook::default(),
            };
        }
        let may = may_see(Circumstances {
            visibility_before: before.visibility,
            visibility_after: after.visibility,
            membership_before: before.membership,
            membership_after: after.membership,
            joined_since: self.joined_since(event),
        });
        // Whoever leaves or is removed sees that.
        Ok((may || is_own).then_some(after.membership))
    }

    /// The event as it is served to a reader who had this membership when it was sent: redacted
    /// where its sender asked for erasure and the reader was not there.
    pub fn show(&self, event: &Arc<Event>, membership: Membership) -> Arc<Event> {
        if membership == Membership::Join {
            return Arc::clone(event);
        }
        let is_erased = |body: &Arc<Body>| self.sight.policy.is_erased(body.pdu().sender());
        // What it replaced goes along as `prev_content`, whoever sent that.
        let replaces_erased = event.replaces.as_ref().is_some_and(is_erased);
        if !replaces_erased && !is_erased(&event.body) {
            return Arc::clone(event);
        }
        let shown = |body: &Arc<Body>| {
            let redacted =
                || Body::new_redacted(body.number(), Arc::new(body.pdu().redacted()), None);
            if is_erased(body) { Arc::new(redacted()) } else { Arc::clone(body) }
        };
        let replaces = event.replaces.as_ref().map(shown);
        Arc::new(Event { body: shown(&event.body), replaces, ..Event::clone(event) })
    }

    /// Whether the reader was joined at the event or at any time after it.
    fn joined_since(&self, event: &Event) -> bool {
        let Some(place) = event.place else { return false };
        let upto = self.joined_until.and_then(|until| i64::try_from(until.0).ok());
        self.joined || upto.is_some_and(|upto| place.position <= upto)
    }

    fn outlook(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        group: StateGroup,
    ) -> Result<Outlook, store::Error> {
        if let Some(outlook) = self.known.get(&group) {
            return Ok(*outlook);
        }
        let mut outlook = Outlook::default();
        if let Some(number) = self.sight.groups.get(snapshot, group, HISTORY_VISIBILITY)? {
            let event = self.event(snapshot, number)?;
            let value = event.pdu().content_field::<String>("history_visibility");
            outlook.visibility = HistoryVisibility::parse(value.as_deref());
        }
        if let Some(own) = self.own
            && let Some(number) = self.sight.groups.get(snapshot, group, own)?
        {
            outlook.membership =
                self.event(snapshot, number)?.pdu().membership().unwrap_or_default();
        }
        self.known.insert(group, outlook);
        Ok(outlook)
    }

    fn event(
        &self,
        snapshot: &mut Snapshot<'_>,
        number: EventNumber,
    ) -> Result<Arc<Event>, store::Error> {
        events::load(snapshot, &self.sight.events, number)
    }
}
