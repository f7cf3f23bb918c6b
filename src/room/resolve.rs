//! What state resolution asks about a room's events, answered from the store.
//!
//! Questions about auth chains go to the index: what an event reaches is a map from chain to
//! sequence, so that the difference of two auth chains is a difference of numbers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use proto::{
    number::{EventNumber, StateKeyNumber},
    resolve::{ResolutionEvent, ResolveError, Source, resolve},
    rules::Rules,
    state::StateMap,
};
use store::{
    Snapshot,
    numbers::{CREATE, JOIN_RULES, POWER_LEVELS},
    room::{
        chains::{self, ChainCache},
        event::{Event, Outcome},
        events, keys,
        levels::Delta,
    },
};

use crate::{
    RoomError,
    coverage::{Coverage, Gone},
    reach::{Reach, sequence_in, union},
    visibility::Sight,
};

/// How many events' places in the index are looked at at once.
const SCAN_BATCH: usize = 1000;

/// What nearly every event of a room names as its auth events.
const POWERFUL: [StateKeyNumber; 3] = [CREATE, JOIN_RULES, POWER_LEVELS];

/// Parts of chains, by chain: after one sequence, up to and with another.
type Open = BTreeMap<i64, (i64, i64)>;

/// An event that the store does not have yet.
#[derive(Clone)]
pub(crate) struct Fresh {
    pub(crate) event: Arc<ResolutionEvent>,
    pub(crate) reach: Option<Arc<Reach>>,
}

/// The source of one resolution.
pub(crate) struct StateSource<'s, 't> {
    pub(crate) snapshot: &'s mut Snapshot<'t>,
    pub(crate) sight: &'s Sight,
    pub(crate) chains: &'s ChainCache,
    pub(crate) create: Option<EventNumber>,
    pub(crate) fresh: Option<Fresh>,
}

/// Resolves states of one room into one.
pub(crate) fn resolve_states(
    rules: &'static Rules,
    states: &[StateMap],
    source: &mut StateSource<'_, '_>,
) -> Result<StateMap, RoomError> {
    source.create = states.iter().find_map(|state| state.get(&CREATE).copied());
    resolve(rules, states, source).map_err(|error| match error {
        ResolveError::Source(error) => RoomError::Store(error),
        ResolveError::Missing(_) => RoomError::Damaged(error.to_string()),
    })
}

impl StateSource<'_, '_> {
    fn fresh(&self, number: EventNumber) -> Option<&Fresh> {
        self.fresh.as_ref().filter(|fresh| fresh.event.number == number)
    }

    /// The stored numbers of these events' auth events.
    fn auth_numbers(
        &mut self,
        events: &[Arc<Event>],
    ) -> Result<HashMap<ruma::OwnedEventId, EventNumber>, store::Error> {
        let ids = events.iter().flat_map(|event| event.pdu().auth_events().iter().cloned());
        let mut ids = ids.collect::<Vec<_>>();
        ids.sort_unstable();
        ids.dedup();
        let known = events::find_all(self.snapshot, &ids)?;
        Ok(known.into_iter().map(|(id, known)| (id, known.number)).collect())
    }

    /// What each of these events reaches. An event that is in no index reaches what its auth events
    /// do, and them.
    pub(crate) fn reached(
        &mut self,
        numbers: &[EventNumber],
    ) -> Result<HashMap<EventNumber, Delta>, store::Error> {
        let mut reached = HashMap::with_capacity(numbers.len());
        for reach in Reach::load_all(self.snapshot, self.chains, numbers)? {
            reached.insert(reach.event(), Arc::clone(&reach.map));
        }
        let fresh = numbers.iter().find_map(|number| self.fresh(*number));
        if let Some(reach) = fresh.and_then(|fresh| fresh.reach.as_ref()) {
            reached.insert(reach.event(), Arc::clone(&reach.map));
        }
        let others = numbers.iter().filter(|number| !reached.contains_key(number));
        let others = others.copied().collect::<Vec<_>>();
        for event in self.events(&others)? {
            let auth = Reach::load_all(self.snapshot, self.chains, &event.auth_events)?;
            let map = union(auth.iter().map(|reach| &**reach));
            reached.insert(event.number, map.into_iter().collect());
        }
        Ok(reached)
    }

    /// How far the unconflicted part of a state reaches into some chains. It is found out for the
    /// whole of it once; after that only what has come to it is looked at.
    fn reached_by_unconflicted(
        &mut self,
        state: &StateMap,
        conflicted: &BTreeSet<StateKeyNumber>,
        open: &mut Open,
    ) -> Result<(), store::Error> {
        // These few reach most.
        let powerful = POWERFUL.iter().filter(|key| !conflicted.contains(key));
        let powerful = powerful.filter_map(|key| state.get(key).copied()).collect::<Vec<_>>();
        self.raise(open, &powerful)?;
        if open.is_empty() {
            return Ok(());
        }
        let mut unconflicted = state.clone();
        for key in conflicted {
            unconflicted.remove(key);
        }
        let kept = self.create.map(|create| self.sight.coverages.get(create)).unwrap_or_default();
        let mut coverage = self.cover(kept, &unconflicted)?;
        if narrow(open, &coverage).is_err() {
            coverage = self.cover(Coverage::default(), &unconflicted)?;
            // All its witnesses stand in the state that it was made from.
            let _ = narrow(open, &coverage);
        }
        if let Some(create) = self.create {
            self.sight.coverages.keep(create, coverage);
        }
        Ok(())
    }

    /// The coverage of a state, from one of a state that is near.
    fn cover(&mut self, mut near: Coverage, state: &StateMap) -> Result<Coverage, store::Error> {
        for entries in near.uncovered(state).chunks(SCAN_BATCH) {
            let numbers = entries.iter().map(|(_, number)| *number).collect::<Vec<_>>();
            let reached = self.reached(&numbers)?;
            for entry in entries {
                near.add(*entry, reached.get(&entry.1).map_or(&[], |map| &**map));
            }
        }
        near.become_of(state.clone());
        Ok(near)
    }

    /// Takes out what these events reach.
    fn raise(&mut self, open: &mut Open, numbers: &[EventNumber]) -> Result<(), store::Error> {
        for map in self.reached(numbers)?.values() {
            for (chain, (low, _)) in open.iter_mut() {
                *low = sequence_in(map, *chain).max(*low);
            }
        }
        open.retain(|_, (low, high)| low < high);
        Ok(())
    }

    /// The events of a chain after one sequence, up to and with another.
    fn range(
        &mut self,
        chain: i64,
        after: i64,
        upto: i64,
    ) -> Result<Vec<EventNumber>, store::Error> {
        if (after, upto) == (0, 1) {
            // A chain has its number from its first event.
            return Ok(vec![EventNumber(chain)]);
        }
        chains::list_range(self.snapshot, chain, after, upto)
    }

    /// The first sequence of a chain, up to a last one, from which on its events reach one of these
    /// places.
    fn first_reaching(
        &mut self,
        chain: i64,
        last: i64,
        places: &[(i64, i64)],
    ) -> Result<Option<i64>, store::Error> {
        // Later events of a chain reach all that earlier ones do, so that halving finds the first.
        let (mut low, mut high) = (1, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let event = self.range(chain, middle - 1, middle)?.pop();
            let reaches = match event {
                Some(event) => {
                    let reached = self.reached(&[event])?;
                    let map = reached.get(&event);
                    map.is_some_and(|map| {
                        places.iter().any(|(chain, at)| sequence_in(map, *chain) >= *at)
                    })
                }
                None => false,
            };
            if reaches {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok((low <= last).then_some(low))
    }
}

/// Takes out what a coverage reaches.
fn narrow(open: &mut Open, coverage: &Coverage) -> Result<(), Gone> {
    for (chain, (low, _)) in open.iter_mut() {
        *low = coverage.beyond(*chain, *low)?.unwrap_or(*low);
    }
    open.retain(|_, (low, high)| low < high);
    Ok(())
}

impl Source for StateSource<'_, '_> {
    type Error = store::Error;

    fn events(
        &mut self,
        numbers: &[EventNumber],
    ) -> Result<Vec<Arc<ResolutionEvent>>, store::Error> {
        let stored = numbers.iter().filter(|number| self.fresh(**number).is_none());
        let stored = stored.copied().collect::<Vec<_>>();
        let loaded = events::find_loaded(self.snapshot, &self.sight.events, &stored)?;
        let auth = self.auth_numbers(&loaded)?;
        let mut answer = Vec::with_capacity(numbers.len());
        for event in &loaded {
            let Some(key) = event.key else { continue };
            let auth_events = event.pdu().auth_events().iter();
            answer.push(Arc::new(ResolutionEvent {
                number: event.number(),
                key,
                auth_events: auth_events.filter_map(|id| auth.get(id).copied()).collect(),
                rejected: event.outcome == Outcome::Rejected,
                pdu: Arc::clone(event.pdu()),
            }));
        }
        let fresh = numbers.iter().find_map(|number| self.fresh(*number));
        answer.extend(fresh.map(|fresh| Arc::clone(&fresh.event)));
        Ok(answer)
    }

    fn key(
        &mut self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<StateKeyNumber>, store::Error> {
        // The key of an event that is not stored yet may be as new as the event.
        let fresh = self.fresh.as_ref().map(|fresh| &fresh.event);
        if let Some(event) = fresh.filter(|event| event.pdu.is_state_of(event_type, state_key)) {
            return Ok(Some(event.key));
        }
        keys::find(self.snapshot, event_type, state_key)
    }

    fn create_event(&mut self) -> Result<Option<EventNumber>, store::Error> {
        Ok(self.create)
    }

    fn auth_difference(&mut self, states: &[StateMap]) -> Result<Vec<EventNumber>, store::Error> {
        let Some((first, others)) = states.split_first() else { return Ok(Vec::new()) };
        let mut conflicted = BTreeSet::new();
        for other in others {
            for item in first.diff(other) {
                conflicted.insert(diff_key(&item));
            }
        }
        let mut reached = Vec::with_capacity(states.len());
        for state in states {
            let numbers = conflicted.iter().filter_map(|key| state.get(key).copied());
            let maps = self.reached(&numbers.collect::<Vec<_>>())?;
            let mut all = BTreeMap::new();
            for (chain, sequence) in maps.values().flat_map(|map| map.iter()) {
                let most = all.entry(*chain).or_insert(0);
                *most = (*sequence).max(*most);
            }
            reached.push(all);
        }
        let mut open = Open::new();
        for chain in reached.iter().flat_map(BTreeMap::keys) {
            let sequences = || reached.iter().map(|all| all.get(chain).copied().unwrap_or(0));
            let (low, high) = (sequences().min().unwrap_or(0), sequences().max().unwrap_or(0));
            if low < high {
                open.insert(*chain, (low, high));
            }
        }
        self.reached_by_unconflicted(first, &conflicted, &mut open)?;
        let mut difference = Vec::new();
        for (chain, (low, high)) in open {
            difference.extend(self.range(chain, low, high)?);
        }
        Ok(difference)
    }

    fn conflicted_subgraph(
        &mut self,
        conflicted: &[EventNumber],
    ) -> Result<Vec<EventNumber>, store::Error> {
        let links = self.chains.load_all(self.snapshot, conflicted)?;
        let mut places = links.values().map(|link| (link.chain, link.sequence)).collect::<Vec<_>>();
        for number in conflicted {
            if let Some(reach) = self.fresh(*number).and_then(|fresh| fresh.reach.as_ref()) {
                places.push((reach.link.chain, reach.link.sequence));
            }
        }
        let mut furthest = BTreeMap::new();
        for map in self.reached(conflicted)?.values() {
            for (chain, sequence) in map.iter() {
                let most = furthest.entry(*chain).or_insert(0);
                *most = (*sequence).max(*most);
            }
        }
        let mut subgraph = conflicted.to_vec();
        for (chain, last) in furthest {
            if let Some(first) = self.first_reaching(chain, last, &places)? {
                subgraph.extend(self.range(chain, first - 1, last)?);
            }
        }
        subgraph.sort_unstable();
        subgraph.dedup();
        Ok(subgraph)
    }
}

/// The key that an item of a difference of two states is about.
pub(crate) fn diff_key(
    item: &imbl::ordmap::DiffItem<'_, '_, StateKeyNumber, EventNumber>,
) -> StateKeyNumber {
    match item {
        imbl::ordmap::DiffItem::Add(key, _)
        | imbl::ordmap::DiffItem::Remove(key, _)
        | imbl::ordmap::DiffItem::Update { old: (key, _), .. } => **key,
    }
}
