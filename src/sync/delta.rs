//! Which state events an answer has to carry so that the client, who applies them and then the
//! timeline, ends with the room's state (client-server API, "Syncing"; MSC4222 for `state_after`).
//!
//! Invariant: only the room's own record of how its current state moved counts here, not what
//! events seem to say. So state that moved without a timeline event (by state resolution), and
//! state events that a filter keeps out of the timeline, reach the client all the same.

use std::collections::{BTreeMap, HashSet};

use proto::{
    number::{EventNumber, Position, StateKeyNumber},
    state::StateMap,
};
use store::sync::moves::Move;

/// The timeline that an answer shows.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// The position of its first event; none for an empty timeline.
    pub(crate) start: Option<Position>,
    /// The numbers of its state events.
    pub(crate) state: HashSet<EventNumber>,
}

/// The way of one key through a stretch of moves.
struct Course {
    first_old: Option<EventNumber>,
    /// Where it stood when the timeline began; for a key that was not there yet, where it stood
    /// before the timeline shows it.
    at_start: Option<EventNumber>,
    last_new: Option<EventNumber>,
    /// The last event of this key that the timeline shows.
    shown: Option<EventNumber>,
}

type Delta = BTreeMap<StateKeyNumber, EventNumber>;

fn courses(moves: &[Move], shown: &Shown) -> BTreeMap<StateKeyNumber, Course> {
    let mut courses = BTreeMap::new();
    for step in moves {
        let course = courses.entry(step.key).or_insert(Course {
            first_old: step.old,
            at_start: step.old,
            last_new: step.old,
            shown: None,
        });
        let in_timeline = step.new.is_some_and(|new| shown.state.contains(&new));
        let before = shown.start.is_none_or(|start| step.position < start);
        // Who came in out of sight has to be known before she is seen to go.
        let is_first = course.at_start.is_none() && course.shown.is_none();
        if (before || is_first) && !in_timeline {
            course.at_start = step.new;
        }
        course.last_new = step.new;
        course.shown = step.new.filter(|_| in_timeline).or(course.shown);
    }
    courses
}

impl Course {
    /// What the client needs before it applies the timeline.
    fn before(&self) -> Option<EventNumber> {
        if self.shown.is_some() { self.at_start } else { self.last_new }
    }
}

/// The shown events of keys that moved on out of sight: a client that applies the timeline would
/// end with them. So no timeline can have them that the state is told before.
pub(crate) fn overtaken(moves: &[Move], shown: &Shown) -> HashSet<EventNumber> {
    let courses = courses(moves, shown).into_values();
    let overtaken = courses.filter(|course| course.shown != course.last_new);
    overtaken.filter_map(|course| course.shown).collect()
}

/// What changed up to the timeline's start, and what changed after it without being in the
/// timeline. `moves` are those since the client's token, in order.
pub(crate) fn changed_before(moves: &[Move], shown: &Shown) -> Delta {
    changed(moves, shown, Course::before)
}

/// What changed up to the timeline's end. `moves` are those since the client's token, in order.
pub(crate) fn changed_after(moves: &[Move]) -> Delta {
    changed(moves, &Shown::default(), |course| course.last_new)
}

fn changed(moves: &[Move], shown: &Shown, value: impl Fn(&Course) -> Option<EventNumber>) -> Delta {
    // What was removed cannot be told to a client: the format has no word for it.
    let differs = |(key, course): (StateKeyNumber, Course)| {
        let value = value(&course).filter(|_| value(&course) != course.first_old)?;
        Some((key, value))
    };
    courses(moves, shown).into_iter().filter_map(differs).collect()
}

/// The state before `moves`, which led to `state`.
pub(crate) fn rolled_back(state: &StateMap, moves: &[Move]) -> StateMap {
    let mut state = state.clone();
    for step in moves.iter().rev() {
        match step.old {
            Some(old) => state.insert(step.key, old),
            None => state.remove(&step.key),
        };
    }
    state
}

/// The whole state at the timeline's start, with what changed after it without being in the
/// timeline. `moves` led from some point at or before the start to `state`.
pub(crate) fn whole_before(state: &StateMap, moves: &[Move], shown: &Shown) -> StateMap {
    let mut whole = state.clone();
    for (key, course) in courses(moves, shown) {
        match course.before() {
            Some(event) => whole.insert(key, event),
            None => whole.remove(&key),
        };
    }
    whole
}

#[cfg(test)]
#[path = "delta_test.rs"]
mod tests;
