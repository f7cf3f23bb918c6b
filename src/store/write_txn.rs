//! What a change can do. One transaction carries a whole group; each change in it can be undone
//! alone.
//!
//! Invariant: whatever a change took (positions, numbers, records, callbacks) is given back when it
//! fails.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use proto::number::Position;

use crate::{
    batch::Batch,
    counter::{Counters, Sequence},
    engine::Link,
    error::Error,
    log::{Change, Record},
    numbers::Fresh,
    shared::Shared,
    snapshot::Snapshot,
    value::Value,
};

/// Runs on the writer's thread after the commit, before the position is published.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// The transaction as one change sees it. It reads like a [`Snapshot`], and sees its own writes.
pub struct WriteTxn<'a> {
    snapshot: Snapshot<'a>,
    counters: Counters,
    records: Vec<Arc<Record>>,
    callbacks: Vec<Callback>,
    /// The counters as the group found them.
    first: Counters,
}

/// Where a change began.
pub(crate) struct Mark {
    counters: Counters,
    records: usize,
    callbacks: usize,
    fresh: usize,
}

/// What a group leaves behind once it is committed.
pub(crate) struct Outcome {
    pub(crate) counters: Counters,
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) fresh: Fresh,
    /// Whether there is anything to commit.
    pub(crate) wrote: bool,
}

impl<'a> Deref for WriteTxn<'a> {
    type Target = Snapshot<'a>;

    fn deref(&self) -> &Self::Target {
        &self.snapshot
    }
}

impl DerefMut for WriteTxn<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.snapshot
    }
}

impl<'a> WriteTxn<'a> {
    pub(crate) fn new(link: &'a mut dyn Link, shared: &'a Shared, counters: Counters) -> Self {
        let snapshot = Snapshot::new(link, shared);
        let (records, callbacks) = (Vec::new(), Vec::new());
        Self { snapshot, counters, records, callbacks, first: counters }
    }

    /// Runs a statement that changes rows, and says how many. A statement that fails makes the
    /// change fail, whatever is done about its error.
    pub fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.snapshot.link.execute(sql, params)
    }

    /// Writes one row; the cheap way. The values stand in the order of the batch's columns.
    pub fn insert(&mut self, batch: &'static Batch, row: &[Value<'_>]) -> Result<(), Error> {
        if row.len() != batch.columns.len() {
            let (found, wanted) = (row.len(), batch.columns.len());
            let text = format!("{} has {wanted} columns, not {found}", batch.table);
            return Err(Error::Statement(text));
        }
        self.snapshot.link.insert(batch, row)
    }

    /// The next position in the one order of changes. Take one for each row that somebody can
    /// observe.
    pub fn next_position(&mut self) -> Position {
        self.counters.next_position()
    }

    /// The newest position that was given, to this change or an earlier one.
    pub fn newest_position(&self) -> Position {
        self.counters.position
    }

    /// The next number of a sequence: `EventNumber(txn.next_number(Sequence::Event))`.
    pub fn next_number(&mut self, sequence: Sequence) -> i64 {
        self.counters.next_number(sequence)
    }

    /// Tells readers about a change at the position that was taken last, once it is committed.
    pub fn record(&mut self, change: Change) {
        let position = self.counters.position;
        self.record_at(position, change);
    }

    /// Tells readers about a change at a position that this change has taken, once it is committed.
    pub fn record_at(&mut self, position: Position, change: Change) {
        self.records.push(Arc::new(Record { position, change }));
    }

    /// Runs something on the writer's thread after the commit and before the position is published:
    /// for views in memory that are swapped. It must be quick and must not wait for the store.
    pub fn on_commit(&mut self, callback: Box<dyn FnOnce() + Send>) {
        self.callbacks.push(callback);
    }

    pub(crate) fn begin_change(&mut self) -> Result<Mark, Error> {
        self.snapshot.link.begin_change()?;
        Ok(Mark {
            counters: self.counters,
            records: self.records.len(),
            callbacks: self.callbacks.len(),
            fresh: self.snapshot.fresh.mark(),
        })
    }

    pub(crate) fn keep_change(&mut self) -> Result<(), Error> {
        self.snapshot.link.keep_change()
    }

    pub(crate) fn undo_change(&mut self, mark: &Mark) -> Result<(), Error> {
        self.counters = mark.counters;
        self.records.truncate(mark.records);
        self.callbacks.truncate(mark.callbacks);
        self.snapshot.fresh.undo(mark.fresh);
        self.snapshot.link.undo_change()
    }

    pub(crate) fn spoiled(&self) -> Option<Error> {
        self.snapshot.link.spoiled()
    }

    /// What is to be done after the commit. Records come in the order of their positions.
    pub(crate) fn finish(mut self) -> Outcome {
        let wrote = self.snapshot.link.has_written() || self.counters != self.first;
        self.records.sort_by_key(|record| record.position);
        Outcome {
            counters: self.counters,
            records: self.records,
            callbacks: self.callbacks,
            fresh: self.snapshot.fresh,
            wrote,
        }
    }
}
