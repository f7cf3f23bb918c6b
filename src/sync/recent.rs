//! The recent changes, found by whom they concern: a room or a user. An index over the store's log,
//! which bounds it, so that an up-to-date client costs no database and a busy server's other rooms
//! cost nothing.
//!
//! Invariant: every change after `floor` and up to `head` is here under each of its topics, in
//! order of position. What is asked for from before `floor` has to come from the database.

use std::collections::{HashMap, VecDeque};

use proto::number::{Position, RoomNumber, UserNumber};
use smallvec::SmallVec;

/// Whom a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Everybody in a room.
    Room(RoomNumber),
    /// One user alone.
    User(UserNumber),
}

/// The topics of one change; a member event has two.
pub(crate) type Topics = SmallVec<[Topic; 2]>;

/// The recent changes.
#[derive(Debug)]
pub(crate) struct Recent<R> {
    floor: Position,
    head: Position,
    all: VecDeque<(Position, Topics)>,
    by_topic: HashMap<Topic, VecDeque<(Position, R)>>,
}

impl<R: Clone> Recent<R> {
    /// Knows nothing up to `floor` and, as yet, nothing after it.
    pub(crate) fn new(floor: Position) -> Self {
        Self { floor, head: floor, all: VecDeque::new(), by_topic: HashMap::new() }
    }

    /// The newest position that is known.
    pub(crate) fn head(&self) -> Position {
        self.head
    }

    /// The position after which nothing is missing.
    pub(crate) fn floor(&self) -> Position {
        self.floor
    }

    /// Whether every change after this position is here.
    pub(crate) fn covers(&self, since: Position) -> bool {
        since >= self.floor
    }

    /// Adds a change; positions only grow.
    pub(crate) fn push(&mut self, position: Position, topics: Topics, record: &R) {
        self.head = self.head.max(position);
        for topic in &topics {
            self.by_topic.entry(*topic).or_default().push_back((position, record.clone()));
        }
        self.all.push_back((position, topics));
    }

    /// Moves the head over positions that concern nobody here.
    pub(crate) fn advance(&mut self, head: Position) {
        self.head = self.head.max(head);
    }

    /// Forgets the changes up to `floor`, which the store's log has dropped.
    pub(crate) fn forget(&mut self, floor: Position) {
        self.floor = self.floor.max(floor);
        while let Some(oldest) = self.all.pop_front_if(|oldest| oldest.0 <= floor) {
            for topic in oldest.1 {
                let Some(queue) = self.by_topic.get_mut(&topic) else { continue };
                queue.pop_front();
                if queue.is_empty() {
                    self.by_topic.remove(&topic);
                }
            }
        }
    }

    /// The changes of a topic after `since`, oldest first.
    pub(crate) fn of(&self, topic: Topic, since: Position) -> impl Iterator<Item = &R> {
        self.by_topic.get(&topic).into_iter().flat_map(move |queue| {
            let start = queue.partition_point(|(position, _)| *position <= since);
            queue.range(start..).map(|(_, record)| record)
        })
    }

    /// The position of the newest change of a topic that is still here.
    pub(crate) fn newest(&self, topic: Topic) -> Option<Position> {
        self.by_topic.get(&topic)?.back().map(|(position, _)| *position)
    }

    /// How many changes there are after `since`, of any topic.
    pub(crate) fn count_since(&self, since: Position) -> usize {
        self.all.len() - self.start(since)
    }

    /// The topics of every change after `since`, oldest first.
    pub(crate) fn topics_since(&self, since: Position) -> impl Iterator<Item = Topic> {
        self.all.range(self.start(since)..).flat_map(|(_, topics)| topics.iter().copied())
    }

    fn start(&self, since: Position) -> usize {
        self.all.partition_point(|(position, _)| *position <= since)
    }
}

#[cfg(test)]
#[path = "recent_test.rs"]
mod tests;
