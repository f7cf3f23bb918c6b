//! The newest changes in memory, in the order of their positions, so that an up-to-date reader
//! touches no database.
//!
//! Invariant: the log holds every change with a position above its floor, up to the published head,
//! and nothing else.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::RwLock;
use proto::number::Position;

pub use crate::change::Change;

/// What a record costs besides its change: itself, its counter, its place.
const RECORD_BYTES: usize = 64;

/// A change at its position.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where the change stands in the one order.
    pub position: Position,
    /// What changed.
    pub change: Change,
}

/// The newest changes.
pub struct Log {
    kept: RwLock<Kept>,
    most_bytes: usize,
}

struct Kept {
    records: VecDeque<Arc<Record>>,
    /// Every record above this position is there.
    floor: Position,
    /// The newest published position.
    head: Position,
    bytes: usize,
}

impl Log {
    pub(crate) fn new(head: Position, most_bytes: usize) -> Self {
        let kept = Kept { records: VecDeque::new(), floor: head, head, bytes: 0 };
        Self { kept: RwLock::new(kept), most_bytes }
    }

    /// The newest published position.
    pub fn head(&self) -> Position {
        self.kept.read().head
    }

    /// The oldest position after which nothing is missing.
    pub fn floor(&self) -> Position {
        self.kept.read().floor
    }

    /// How many changes are here, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let kept = self.kept.read();
        (kept.records.len(), kept.bytes)
    }

    /// All changes after a position, oldest first, or `None` if some of them are no longer here.
    pub fn since(&self, position: Position) -> Option<Vec<Arc<Record>>> {
        self.between(position, Position(u64::MAX))
    }

    /// All changes after one position, up to and with another one, oldest first, or `None` if some
    /// of them are no longer here.
    pub fn between(&self, after: Position, upto: Position) -> Option<Vec<Arc<Record>>> {
        let kept = self.kept.read();
        if after < kept.floor {
            return None;
        }
        let start = kept.records.partition_point(|record| record.position <= after);
        let end = kept.records.partition_point(|record| record.position <= upto);
        if start >= end {
            return Some(Vec::new());
        }
        Some(kept.records.range(start..end).cloned().collect())
    }

    /// Adds a group's records, which are ordered, and publishes its head.
    pub(crate) fn append(&self, records: &[Arc<Record>], head: Position) {
        let mut dropped = Vec::new();
        let mut kept = self.kept.write();
        for record in records {
            kept.bytes += record.bytes();
            kept.records.push_back(Arc::clone(record));
        }
        kept.head = head;
        while kept.bytes > self.most_bytes
            && let Some(oldest) = kept.records.pop_front()
        {
            kept.bytes -= oldest.bytes();
            kept.floor = oldest.position;
            // Freed after the lock.
            dropped.push(oldest);
        }
        drop(kept);
    }
}

impl Record {
    fn bytes(&self) -> usize {
        RECORD_BYTES + self.change.bytes()
    }
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
