//! Events that are kept ready, found by number.
//!
//! Invariants. (1) At most one [`Body`] of an event is in memory: whoever loads an event gets the
//! body that is there, so that a redaction reaches every holder. (2) What a reader with an older
//! snapshot loads cannot replace what a commit has put here: numbers that changed lately take
//! nothing that was read.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Weak},
};

use moka::sync::Cache;
use parking_lot::Mutex;
use proto::{number::EventNumber, pdu::Pdu};

use super::event::{Body, Event};
use crate::{CacheStats, Lookups};

/// How many numbers are remembered as changed lately. Far more than change within a snapshot's
/// greatest age.
const CHANGED_MAX: usize = 65_536;
/// How many bodies may be known before those that are gone are swept out.
const SWEEP_MIN: usize = 1_024;

/// The events that are kept ready. Clones are cheap and mean the same cache.
#[derive(Clone)]
pub struct EventCache {
    events: Cache<EventNumber, Arc<Event>>,
    live: Arc<Mutex<Live>>,
    lookups: Arc<Lookups>,
}

#[derive(Default)]
struct Live {
    bodies: HashMap<EventNumber, Weak<Body>>,
    sweep_at: usize,
    changed: HashSet<EventNumber>,
    changed_order: VecDeque<EventNumber>,
}

impl EventCache {
    /// An empty cache that keeps events up to so many bytes.
    pub fn new(bytes: u64) -> Self {
        let weigh =
            |_: &EventNumber, event: &Arc<Event>| u32::try_from(event.weight()).unwrap_or(u32::MAX);
        Self {
            events: Cache::builder().max_capacity(bytes).weigher(weigh).build(),
            live: Arc::default(),
            lookups: Arc::default(),
        }
    }

    /// The event with this number, if it is at hand.
    pub fn get(&self, number: EventNumber) -> Option<Arc<Event>> {
        self.lookups.note(self.events.get(&number))
    }

    /// How full it is, and how often it helped.
    pub fn stats(&self) -> CacheStats {
        CacheStats::of(&self.events, &self.lookups)
    }

    /// The body of this event, if somebody holds it.
    pub fn body(&self, number: EventNumber) -> Option<Arc<Body>> {
        self.live.lock().bodies.get(&number)?.upgrade()
    }

    /// Puts a just committed event here. Called on the writer's thread.
    pub fn insert_committed(&self, event: &Arc<Event>) {
        self.live.lock().know(&event.body);
        self.events.insert(event.number(), Arc::clone(event));
    }

    /// As [`EventCache::insert_committed`], for an event that was stored before and has got a place
    /// or an outcome now.
    pub fn replace_committed(&self, event: &Arc<Event>) {
        let mut live = self.live.lock();
        live.change(event.number());
        live.know(&event.body);
        drop(live);
        self.events.insert(event.number(), Arc::clone(event));
    }

    /// Puts an event here that was read from a snapshot, unless it changed lately. The body that
    /// counts comes back.
    pub fn insert_loaded(&self, event: Event) -> Arc<Event> {
        let number = event.number();
        let mut live = self.live.lock();
        if live.changed.contains(&number) {
            // The entry that the commit made is right; this one serves its reader, with the right
            // body if there is one.
            let body = live.bodies.get(&number).and_then(Weak::upgrade);
            drop(live);
            return Arc::new(Event { body: body.unwrap_or(Arc::clone(&event.body)), ..event });
        }
        let body = live.know(&event.body);
        drop(live);
        let event = Arc::new(Event { body, ..event });
        self.events.insert(number, Arc::clone(&event));
        event
    }

    /// The body that counts for an event that was read from a snapshot.
    pub fn know_loaded(&self, body: Arc<Body>) -> Arc<Body> {
        let mut live = self.live.lock();
        if live.changed.contains(&body.number()) {
            return live.bodies.get(&body.number()).and_then(Weak::upgrade).unwrap_or(body);
        }
        live.know(&body)
    }

    /// Applies a committed redaction to whoever holds the event. Called on the writer's thread.
    pub fn redact(&self, number: EventNumber, redacted: Arc<Pdu>, because: Arc<Body>) {
        let mut live = self.live.lock();
        live.change(number);
        let body = live.bodies.get(&number).and_then(Weak::upgrade);
        drop(live);
        match body {
            Some(body) => body.redact(redacted, because),
            None => self.events.invalidate(&number),
        }
    }
}

impl Live {
    /// The body that counts: the one that is known already, else this one.
    fn know(&mut self, body: &Arc<Body>) -> Arc<Body> {
        if let Some(known) = self.bodies.get(&body.number()).and_then(Weak::upgrade) {
            return known;
        }
        if self.bodies.len() >= self.sweep_at {
            self.bodies.retain(|_, body| body.strong_count() > 0);
            self.sweep_at = (self.bodies.len() * 2).max(SWEEP_MIN);
        }
        self.bodies.insert(body.number(), Arc::downgrade(body));
        Arc::clone(body)
    }

    fn change(&mut self, number: EventNumber) {
        if self.changed.insert(number) {
            self.changed_order.push_back(number);
        }
        if self.changed_order.len() > CHANGED_MAX
            && let Some(oldest) = self.changed_order.pop_front()
        {
            self.changed.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[path = "cache_test.rs"]
mod tests;
