//! A [`Source`] over a few events in memory, whose answers about auth chains are the definitions
//! written down.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};

use crate::{
    number::{EventNumber, StateKeyNumber},
    pdu::Pdu,
    resolve::{ResolutionEvent, Source},
    state::StateMap,
};

#[derive(Default)]
pub(crate) struct Memory {
    pub events: Vec<Arc<ResolutionEvent>>,
    numbers: HashMap<OwnedEventId, EventNumber>,
    keys: HashMap<(String, String), StateKeyNumber>,
}

impl Memory {
    /// Takes an event in whose auth events are there already.
    pub(crate) fn add(&mut self, pdu: &Arc<Pdu>) -> EventNumber {
        if let Some(number) = self.numbers.get(pdu.event_id()) {
            return *number;
        }
        let number = EventNumber(i64::try_from(self.events.len()).unwrap());
        let text = (pdu.type_str().to_owned(), pdu.state_key().unwrap_or("-").to_owned());
        let next = StateKeyNumber(i64::try_from(self.keys.len()).unwrap());
        let key = *self.keys.entry(text).or_insert(next);
        let auth_events = pdu.auth_events().iter().filter_map(|id| self.numbers.get(id));
        let auth_events = auth_events.copied().collect();
        let pdu = pdu.clone();
        self.numbers.insert(pdu.event_id().to_owned(), number);
        let event = ResolutionEvent { number, key, auth_events, rejected: false, pdu };
        self.events.push(Arc::new(event));
        number
    }

    /// Has an event have been rejected when it came.
    pub(crate) fn reject(&mut self, id: &EventId) {
        let place = usize::try_from(self.number(id).0).unwrap();
        let event = ResolutionEvent::clone(&self.events[place]);
        self.events[place] = Arc::new(ResolutionEvent { rejected: true, ..event });
    }

    pub(crate) fn get(&self, number: EventNumber) -> &Arc<ResolutionEvent> {
        &self.events[usize::try_from(number.0).unwrap()]
    }

    pub(crate) fn number(&self, id: &EventId) -> EventNumber {
        self.numbers[id]
    }

    pub(crate) fn state<'a>(&mut self, pdus: impl IntoIterator<Item = &'a Arc<Pdu>>) -> StateMap {
        let mut state = StateMap::new();
        for pdu in pdus {
            let number = self.add(pdu);
            state.insert(self.get(number).key, number);
        }
        state
    }

    /// The ids that a state holds, in order.
    pub(crate) fn ids(&self, state: &StateMap) -> BTreeSet<OwnedEventId> {
        state.values().map(|number| self.get(*number).pdu.event_id().to_owned()).collect()
    }

    /// The auth chain of these events, without themselves unless another one has them in its chain.
    pub(crate) fn chain(
        &self,
        numbers: impl IntoIterator<Item = EventNumber>,
    ) -> BTreeSet<EventNumber> {
        let mut chain = BTreeSet::new();
        let mut open: Vec<EventNumber> = numbers.into_iter().collect();
        while let Some(number) = open.pop() {
            let Some(event) = self.events.get(usize::try_from(number.0).unwrap()) else { continue };
            open.extend(event.auth_events.iter().filter(|auth| chain.insert(**auth)));
        }
        chain
    }

    pub(crate) fn subgraph(&self, conflicted: &[EventNumber]) -> BTreeSet<EventNumber> {
        let ends: BTreeSet<EventNumber> = conflicted.iter().copied().collect();
        let mut below = self.chain(conflicted.iter().copied());
        below.extend(&ends);
        let reaches = |number: &EventNumber| {
            ends.contains(number) || !self.chain([*number]).is_disjoint(&ends)
        };
        below.into_iter().filter(reaches).collect()
    }
}

impl Source for Memory {
    type Error = Infallible;

    fn events(&mut self, numbers: &[EventNumber]) -> Result<Vec<Arc<ResolutionEvent>>, Infallible> {
        let known = |number: &EventNumber| self.events.get(usize::try_from(number.0).unwrap());
        Ok(numbers.iter().filter_map(known).cloned().collect())
    }

    fn key(&mut self, event_type: &str, key: &str) -> Result<Option<StateKeyNumber>, Infallible> {
        Ok(self.keys.get(&(event_type.to_owned(), key.to_owned())).copied())
    }

    fn create_event(&mut self) -> Result<Option<EventNumber>, Infallible> {
        let create = self.events.iter().find(|event| event.pdu.type_str() == "m.room.create");
        Ok(create.map(|event| event.number))
    }

    fn auth_difference(&mut self, states: &[StateMap]) -> Result<Vec<EventNumber>, Infallible> {
        let chains: Vec<_> = states.iter().map(|s| self.chain(s.values().copied())).collect();
        let union: BTreeSet<EventNumber> = chains.iter().flatten().copied().collect();
        let in_all = |number: &EventNumber| chains.iter().all(|chain| chain.contains(number));
        Ok(union.into_iter().filter(|number| !in_all(number)).collect())
    }

    fn conflicted_subgraph(
        &mut self,
        conflicted: &[EventNumber],
    ) -> Result<Vec<EventNumber>, Infallible> {
        Ok(self.subgraph(conflicted).into_iter().collect())
    }
}
