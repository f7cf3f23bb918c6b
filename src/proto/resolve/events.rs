//! The events that one resolution has asked for, so that each is asked for once.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use super::{ResolutionEvent, ResolveError, Source};
use crate::number::{EventNumber, StateKeyNumber};

/// What is known so far.
pub(super) struct Events<'s, S> {
    pub(super) source: &'s mut S,
    /// The events that were asked for; `None` for those that are not known.
    loaded: HashMap<EventNumber, Option<Arc<ResolutionEvent>>>,
    keys: HashMap<(String, String), Option<StateKeyNumber>>,
}

impl<'s, S: Source> Events<'s, S> {
    pub(super) fn of(source: &'s mut S) -> Self {
        Events { source, loaded: HashMap::new(), keys: HashMap::new() }
    }

    /// Asks for those of these events that were not asked for yet.
    pub(super) fn load(
        &mut self,
        numbers: impl IntoIterator<Item = EventNumber>,
    ) -> Result<(), ResolveError<S::Error>> {
        let missing: HashSet<EventNumber> =
            numbers.into_iter().filter(|number| !self.loaded.contains_key(number)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut missing: Vec<EventNumber> = missing.into_iter().collect();
        missing.sort_unstable();
        let events = self.source.events(&missing).map_err(ResolveError::Source)?;
        self.loaded.extend(missing.into_iter().map(|number| (number, None)));
        for event in events {
            let text = (event.pdu.type_str().to_owned(), event.pdu.state_key().unwrap_or_default());
            self.keys.insert((text.0, text.1.to_owned()), Some(event.key));
            self.loaded.insert(event.number, Some(event));
        }
        Ok(())
    }

    /// One event, if it is known.
    pub(super) fn find(
        &mut self,
        number: EventNumber,
    ) -> Result<Option<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
        self.load([number])?;
        Ok(self.loaded.get(&number).cloned().flatten())
    }

    /// The auth events of an event, as far as they are known.
    pub(super) fn auth_events(
        &mut self,
        event: &ResolutionEvent,
    ) -> Result<Vec<Arc<ResolutionEvent>>, ResolveError<S::Error>> {
        self.load(event.auth_events.iter().copied())?;
        let loaded = event.auth_events.iter().filter_map(|number| self.loaded.get(number));
        Ok(loaded.flatten().cloned().collect())
    }

    /// The number of a type and state key, if there is one.
    pub(super) fn key(
        &mut self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<StateKeyNumber>, ResolveError<S::Error>> {
        match self.keys.entry((event_type.to_owned(), state_key.to_owned())) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(vacant) => {
                let key = self.source.key(event_type, state_key).map_err(ResolveError::Source)?;
                Ok(*vacant.insert(key))
            }
        }
    }
}

/// The `m.room.power_levels` event among these.
pub(super) fn power_levels(events: &[Arc<ResolutionEvent>]) -> Option<&Arc<ResolutionEvent>> {
    events.iter().find(|event| event.pdu.is_state_of("m.room.power_levels", ""))
}
