//! What rooms count about themselves, and what they tell of it: plain numbers, read when somebody
//! asks.

use proto::meter::Counter;
use store::{CacheStats, Lookups, room::event::Event};

use crate::{Outcome, Rooms};

/// Counted at commits and lookups.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Rooms that were asked for.
    pub(crate) lookups: Lookups,
    own: Outcomes,
    received: Outcomes,
}

/// Events by what became of them.
#[derive(Debug, Default)]
struct Outcomes {
    accepted: Counter,
    rejected: Counter,
    soft_failed: Counter,
}

impl Outcomes {
    fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => self.accepted.increment(),
            Outcome::Rejected => self.rejected.increment(),
            Outcome::SoftFailed => self.soft_failed.increment(),
            // It has no place in its room, and is counted once it gets one.
            Outcome::Outlier => {}
        }
    }

    fn read(&self) -> EventStats {
        EventStats {
            accepted: self.accepted.get(),
            rejected: self.rejected.get(),
            soft_failed: self.soft_failed.get(),
        }
    }
}

impl Meters {
    /// An event has got its place in its room.
    pub(crate) fn count(&self, event: &Event, own: bool) {
        let outcomes = if own { &self.own } else { &self.received };
        outcomes.count(event.outcome);
    }
}

/// Events that got their places until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStats {
    /// In the timeline.
    pub accepted: u64,
    /// Not allowed where they stand.
    pub rejected: u64,
    /// Not allowed by the state when they came.
    pub soft_failed: u64,
}

/// All rooms at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Events of this server's users.
    pub own: EventStats,
    /// Events of other servers.
    pub received: EventStats,
    /// Rooms in memory.
    pub rooms: CacheStats,
    /// Events in memory.
    pub events: CacheStats,
    /// Deltas of states in memory.
    pub states: CacheStats,
}

impl Rooms {
    /// What goes on in the rooms.
    pub fn stats(&self) -> Stats {
        let inner = &self.inner;
        Stats {
            own: inner.meters.own.read(),
            received: inner.meters.received.read(),
            rooms: inner.cache_stats(),
            events: inner.loader.events.stats(),
            states: inner.loader.groups.stats(),
        }
    }
}
