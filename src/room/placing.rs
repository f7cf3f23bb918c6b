//! Where a received event stands: the state before it, whether that and the current state allow it,
//! and what the room's current state is with it. The part of the checks that needs the database and
//! no network.
//!
//! Everything in flight has landed before this runs and the room's lock is held, so that the
//! snapshot is the room.
//!
//! Spec: server-server API, "Checks performed on receipt of a PDU", "Rejection", "Soft failure".

use std::{collections::HashMap, sync::Arc};

use proto::{
    auth::{Denied, Known, check_against_auth_events, check_state, needed_keys},
    number::{EventNumber, StateGroup, StateKeyNumber},
    pdu::Pdu,
    resolve::ResolutionEvent,
    size::MAX_PREV_EVENTS,
    state::StateMap,
};
use ruma::EventId;
use store::{
    Snapshot,
    room::{
        chains::ChainCache,
        event::{Body, Event, Outcome},
        events, gaps, keys,
        levels::Path,
        redactions,
    },
};

use crate::{
    RoomError, RoomView,
    reach::{Reach, is_indexed},
    resolve::{Fresh, StateSource, diff_key, resolve_states},
    view::KeyChange,
    visibility::Sight,
};

/// How many rejected and soft-failed events are walked through to find the extremities behind them.
const WALK_MAX: usize = 1000;

/// A received event whose signatures are right and whose auth events are here.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) pdu: Arc<Pdu>,
    /// The event with its number: that of the outlier, if it was one.
    pub(crate) body: Arc<Body>,
    pub(crate) known: bool,
    pub(crate) key: Option<StateKeyNumber>,
    /// The states after those of its previous events that are not here, as another server tells
    /// them.
    pub(crate) told: Vec<StateMap>,
    /// Whether it is told the state before the event instead, which replaces the room's: this
    /// server comes back after having been away.
    pub(crate) anew: bool,
}

/// Where it stands.
pub(crate) struct Placed {
    pub(crate) outcome: Outcome,
    pub(crate) denied: Option<Denied>,
    /// Whether an event that is here comes after it already: then it is part of the past, and
    /// changes nothing now.
    pub(crate) is_past: bool,
    /// The state before it; a group of that state, if there is one already.
    pub(crate) before: StateMap,
    pub(crate) before_group: Option<StateGroup>,
    /// The path of that group, or of one that is near.
    pub(crate) path: Path,
    /// The auth events that are stored.
    pub(crate) auth_events: Vec<EventNumber>,
    /// That of them which has the same type and state key.
    pub(crate) predecessor: Option<EventNumber>,
    pub(crate) depth: i64,
    pub(crate) tips: Vec<Arc<Body>>,
    /// What changes in the current state.
    pub(crate) changes: Vec<KeyChange>,
    pub(crate) replaces: Option<Arc<Body>>,
    /// A redaction that was waiting for it.
    pub(crate) redacted_by: Option<Arc<Body>>,
    pub(crate) gaps: Vec<ruma::OwnedEventId>,
}

/// What placing needs besides the snapshot.
#[derive(Clone)]
pub(crate) struct Placer {
    pub(crate) sight: Sight,
    pub(crate) chains: ChainCache,
    pub(crate) view: Arc<RoomView>,
    pub(crate) arrival: Arrival,
}

/// The stored events that an event names as previous ones.
struct Previous {
    events: Vec<Arc<Event>>,
    missing: Vec<ruma::OwnedEventId>,
}

impl Placer {
    pub(crate) fn place(&self, snapshot: &mut Snapshot<'_>) -> Result<Placed, RoomError> {
        let pdu = &self.arrival.pdu;
        let previous = self.previous(snapshot)?;
        let (before, before_group, path) = self.state_before(snapshot, &previous)?;
        let auth = self.auth_events(snapshot)?;
        let mut placed = Placed {
            outcome: Outcome::Accepted,
            denied: None,
            is_past: gaps::is_named(snapshot, self.view.number, pdu.event_id())?,
            before,
            before_group,
            path,
            auth_events: auth.iter().map(|event| event.number()).collect(),
            predecessor: predecessor(pdu, &auth),
            depth: self.depth(&previous),
            tips: self.view.tips.to_vec(),
            changes: Vec::new(),
            replaces: None,
            redacted_by: None,
            gaps: previous.missing.clone(),
        };
        if let Err(denied) = self.check(snapshot, &auth, &placed.before)? {
            placed.outcome = Outcome::Rejected;
            placed.denied = Some(denied);
            return Ok(placed);
        }
        // 6. Passes authorization rules based on the current state of the room, otherwise it is
        //    soft-failed.
        if !self.arrival.anew
            && !placed.is_past
            && let Err(denied) = self.check_in(snapshot, self.view.state())?
        {
            placed.outcome = Outcome::SoftFailed;
            placed.denied = Some(denied);
            return Ok(placed);
        }
        if !placed.is_past {
            self.advance(snapshot, &previous, &mut placed)?;
        }
        placed.redacted_by = self.waiting_redaction(snapshot)?;
        Ok(placed)
    }

    fn previous(&self, snapshot: &mut Snapshot<'_>) -> Result<Previous, RoomError> {
        let ids = self.arrival.pdu.prev_events();
        let known = events::find_all(snapshot, ids)?;
        let numbers = ids.iter().filter_map(|id| known.get(id)).map(|known| known.number);
        let numbers = numbers.collect::<Vec<_>>();
        let mut events = events::load_all(snapshot, &self.sight.events, &numbers)?;
        // An outlier is as good as missing: the state around it is not known.
        events.retain(|event| event.room == self.view.number && event.group.is_some());
        let has = |id: &EventId| events.iter().any(|event| event.event_id() == id);
        let missing = ids.iter().filter(|id| !has(id)).cloned().collect();
        Ok(Previous { events, missing })
    }

    /// The state before the event: that after its previous events, resolved into one. The group is
    /// one that is that state; without one, the path is of a group that is near.
    fn state_before(
        &self,
        snapshot: &mut Snapshot<'_>,
        previous: &Previous,
    ) -> Result<(StateMap, Option<StateGroup>, Path), RoomError> {
        if self.arrival.told.is_empty() && self.names_all_tips(previous) {
            let (state, group) = (self.view.state.clone(), self.view.group);
            return Ok((state, Some(group), self.sight.groups.path(snapshot, group)?));
        }
        let mut groups = previous.events.iter().filter_map(|event| event.group).collect::<Vec<_>>();
        groups.sort_unstable();
        groups.dedup();
        let mut states = Vec::with_capacity(groups.len() + 1);
        for group in &groups {
            states.push(self.sight.groups.map(snapshot, *group)?);
        }
        if self.arrival.anew {
            groups.clear();
            states.clear();
        }
        states.extend(self.arrival.told.iter().cloned());
        let resolved = self.resolve(snapshot, &states, None)?;
        let same = states.iter().position(|state| *state == resolved);
        let group = same.and_then(|place| groups.get(place).copied());
        let near = group.or(groups.first().copied()).unwrap_or(self.view.group);
        Ok((resolved, group, self.sight.groups.path(snapshot, near)?))
    }

    fn names_all_tips(&self, previous: &Previous) -> bool {
        let tips = &self.view.tips;
        previous.missing.is_empty()
            && previous.events.len() == tips.len()
            && tips
                .iter()
                .all(|tip| previous.events.iter().any(|event| event.number() == tip.number()))
    }

    fn resolve(
        &self,
        snapshot: &mut Snapshot<'_>,
        states: &[StateMap],
        fresh: Option<Fresh>,
    ) -> Result<StateMap, RoomError> {
        let (sight, chains) = (&self.sight, &self.chains);
        let mut source = StateSource { snapshot, sight, chains, create: None, fresh };
        resolve_states(self.view.rules, states, &mut source)
    }

    fn auth_events(&self, snapshot: &mut Snapshot<'_>) -> Result<Vec<Arc<Event>>, RoomError> {
        let mut ids = self.arrival.pdu.auth_events().to_vec();
        ids.extend(self.arrival.pdu.create_event_id());
        let known = events::find_all(snapshot, &ids)?;
        // What is of another room is as good as missing, and has no place in this room's index.
        let known = known.values().filter(|known| known.room == self.view.number);
        let numbers = known.map(|known| known.number).collect::<Vec<_>>();
        let mut events = events::load_all(snapshot, &self.sight.events, &numbers)?;
        let named = self.arrival.pdu.auth_events();
        // The create event that only the room's id names comes last.
        events.sort_by_key(|event| named.iter().position(|id| id == event.event_id()).is_none());
        Ok(events)
    }

    fn check(
        &self,
        snapshot: &mut Snapshot<'_>,
        auth: &[Arc<Event>],
        before: &StateMap,
    ) -> Result<Result<(), Denied>, RoomError> {
        // 4. Passes authorization rules based on the event's auth events, otherwise it is rejected.
        let find = |id: &EventId| {
            let event = auth.iter().find(|event| event.event_id() == id)?;
            let rejected = event.outcome == Outcome::Rejected;
            Some(Known { pdu: Arc::clone(event.pdu()), rejected })
        };
        if let Err(denied) = check_against_auth_events(&self.arrival.pdu, find) {
            return Ok(Err(denied));
        }
        // 5. Passes authorization rules based on the state before the event, otherwise it is
        //    rejected.
        self.check_in(snapshot, before)
    }

    fn check_in(
        &self,
        snapshot: &mut Snapshot<'_>,
        state: &StateMap,
    ) -> Result<Result<(), Denied>, RoomError> {
        check_in_state(snapshot, &self.sight, &self.arrival.pdu, state)
    }

    /// One more than the deepest known previous event. Where none is known, what the event claims,
    /// but not beyond the room's end.
    fn depth(&self, previous: &Previous) -> i64 {
        let known = previous.events.iter().filter_map(|event| event.place);
        if let Some(deepest) = known.map(|place| place.depth).max() {
            return deepest + 1;
        }
        let claimed = i64::try_from(self.arrival.pdu.depth()).unwrap_or(i64::MAX);
        claimed.clamp(1, self.view.depth + 1)
    }

    /// Makes the event a forward extremity, and finds out what the current state is then.
    fn advance(
        &self,
        snapshot: &mut Snapshot<'_>,
        previous: &Previous,
        placed: &mut Placed,
    ) -> Result<(), RoomError> {
        let superseded = self.superseded(snapshot, previous)?;
        let mut after = placed.before.clone();
        if let Some(key) = self.arrival.key {
            after.insert(key, self.arrival.body.number());
        }
        let is_kept = |tip: &Arc<Body>| !self.arrival.anew && !superseded.contains(&tip.number());
        placed.tips.retain(is_kept);
        // The next event can name only so many. What is given up here counts again as soon as
        // somebody else's event names it.
        placed.tips.sort_by_key(|tip| std::cmp::Reverse(tip.pdu().depth()));
        placed.tips.truncate(MAX_PREV_EVENTS - 1);
        let own = Arc::clone(&self.arrival.body);
        let mut states = vec![after];
        for tip in &placed.tips {
            let event = events::load(snapshot, &self.sight.events, tip.number())?;
            let group = event.group.ok_or_else(|| {
                RoomError::Damaged(format!("extremity {} has no state", event.event_id()))
            })?;
            states.push(self.sight.groups.map(snapshot, group)?);
        }
        placed.tips.push(Arc::clone(&own));
        let fresh = self.fresh(snapshot, placed)?;
        let current = self.resolve(snapshot, &states, fresh)?;
        self.changes(snapshot, &own, &current, placed)
    }

    /// The event as resolution sees it, if it is a state event.
    fn fresh(
        &self,
        snapshot: &mut Snapshot<'_>,
        placed: &Placed,
    ) -> Result<Option<Fresh>, RoomError> {
        let Some(key) = self.arrival.key else { return Ok(None) };
        let event = ResolutionEvent {
            number: self.arrival.body.number(),
            key,
            auth_events: placed.auth_events.clone(),
            rejected: false,
            pdu: Arc::clone(&self.arrival.pdu),
        };
        let reach = if is_indexed(&self.arrival.pdu) {
            let auth = Reach::load_all(snapshot, &self.chains, &placed.auth_events)?;
            Some(Arc::new(Reach::new(self.arrival.body.number(), &auth, None)))
        } else {
            None
        };
        Ok(Some(Fresh { event: Arc::new(event), reach }))
    }

    /// The events that the new one comes after: its previous ones, and those behind rejected and
    /// soft-failed ones among them, which are no extremities themselves.
    fn superseded(
        &self,
        snapshot: &mut Snapshot<'_>,
        previous: &Previous,
    ) -> Result<Vec<EventNumber>, RoomError> {
        let mut superseded = Vec::new();
        let mut open = previous.events.clone();
        while let Some(event) = open.pop() {
            if superseded.len() >= WALK_MAX {
                break;
            }
            if superseded.contains(&event.number()) {
                continue;
            }
            superseded.push(event.number());
            if matches!(event.outcome, Outcome::Rejected | Outcome::SoftFailed) {
                let known = events::find_all(snapshot, event.pdu().prev_events())?;
                let numbers = known.values().map(|known| known.number).collect::<Vec<_>>();
                open.extend(events::load_all(snapshot, &self.sight.events, &numbers)?);
            }
        }
        Ok(superseded)
    }

    /// What differs between the view's state and the new current one.
    fn changes(
        &self,
        snapshot: &mut Snapshot<'_>,
        own: &Arc<Body>,
        current: &StateMap,
        placed: &mut Placed,
    ) -> Result<(), RoomError> {
        let keys = self.view.state.diff(current).map(|item| diff_key(&item)).collect::<Vec<_>>();
        for key in keys {
            let old = self.view.state_event(key);
            let new = match current.get(&key) {
                Some(number) if *number == own.number() => Some(Arc::clone(own)),
                Some(number) => {
                    let event = events::load(snapshot, &self.sight.events, *number)?;
                    Some(Arc::clone(&event.body))
                }
                None => None,
            };
            if Some(key) == self.arrival.key
                && let Some(old) = old
            {
                let replaced = events::load(snapshot, &self.sight.events, old)?;
                placed.replaces = Some(Arc::clone(&replaced.body));
            }
            placed.changes.push(KeyChange { key, old, new });
        }
        Ok(())
    }

    fn waiting_redaction(
        &self,
        snapshot: &mut Snapshot<'_>,
    ) -> Result<Option<Arc<Body>>, RoomError> {
        for waiting in redactions::list(snapshot, self.arrival.pdu.event_id())? {
            let redaction = events::load(snapshot, &self.sight.events, waiting)?;
            let applies = redaction.room == self.view.number
                && proto::redact::may_apply(redaction.pdu(), &self.arrival.pdu, self.view.powers());
            if applies {
                return Ok(Some(Arc::clone(&redaction.body)));
            }
        }
        Ok(None)
    }
}

/// Whether a state allows an event.
pub(crate) fn is_allowed_in(
    snapshot: &mut Snapshot<'_>,
    sight: &Sight,
    pdu: &Pdu,
    state: &StateMap,
) -> Result<bool, RoomError> {
    Ok(check_in_state(snapshot, sight, pdu, state)?.is_ok())
}

fn check_in_state(
    snapshot: &mut Snapshot<'_>,
    sight: &Sight,
    pdu: &Pdu,
    state: &StateMap,
) -> Result<Result<(), Denied>, RoomError> {
    let pairs = match needed_keys(pdu) {
        Ok(pairs) => pairs,
        Err(denied) => return Ok(Err(denied)),
    };
    let mut found: HashMap<(String, String), Arc<Pdu>> = HashMap::new();
    for (event_type, state_key) in pairs {
        let event_type = event_type.to_string();
        let key = keys::find(snapshot, &event_type, &state_key)?;
        let Some(number) = key.and_then(|key| state.get(&key)) else { continue };
        let event = events::load(snapshot, &sight.events, *number)?;
        if event.outcome != Outcome::Rejected {
            found.insert((event_type, state_key), Arc::clone(event.pdu()));
        }
    }
    Ok(check_state(pdu, |event_type, state_key| {
        found.get(&(event_type.to_owned(), state_key.to_owned())).cloned()
    }))
}

fn predecessor(pdu: &Pdu, auth: &[Arc<Event>]) -> Option<EventNumber> {
    let state_key = pdu.state_key()?;
    let same = auth.iter().find(|event| event.pdu().is_state_of(pdu.type_str(), state_key));
    same.map(|event| event.number())
}
