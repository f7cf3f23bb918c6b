//! The two engines behind one face. A link is one connection, owned by one thread; the closures
//! that read and change the store run on that thread and are the same for both engines.

use std::time::Instant;

use crate::{
    batch::Batch,
    error::{Error, OpenError},
    value::{Row, Value},
};

pub(crate) mod postgres;
pub(crate) mod sqlite;

/// Called for each row of an answer.
pub(crate) type EachRow<'f> = &'f mut dyn FnMut(Row<'_>) -> Result<(), Error>;

/// A way to open links.
pub(crate) trait Engine: Send + Sync {
    /// The link that writes. It holds the lock that keeps other nodes out, as long as it lives.
    fn open_writer(&self) -> Result<Box<dyn Link>, OpenError>;
    /// A link that only reads.
    fn open_reader(&self) -> Result<Box<dyn Link>, OpenError>;
}

/// How the changes of a group are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// There is only one: if it fails, the group is abandoned.
    Alone,
    /// One change's rows may be written with another's; when a statement fails, the group is run
    /// again with `Apart`.
    Together,
    /// Each change is written before the next begins, and can be undone whatever happens to it.
    Apart,
}

/// One connection.
///
/// A group of changes goes `begin_group`, for each change `begin_change` and one of `keep_change`
/// and `undo_change`, then `commit_group` or `abandon_group`. Once the group is spoiled it can only
/// be abandoned.
pub(crate) trait Link {
    /// Runs a statement and hands over its rows.
    fn query(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), Error>;

    /// Runs a statement and says how many rows it changed.
    fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error>;

    /// Writes a row, at the latest before it can be missed.
    fn insert(&mut self, batch: &'static Batch, row: &[Value<'_>]) -> Result<(), Error>;

    /// Runs statements of the schema, outside any group.
    fn run_script(&mut self, sql: &str) -> Result<(), Error>;

    /// Begins a consistent view, which must end before the deadline.
    fn begin_read(&mut self, deadline: Instant) -> Result<(), Error>;

    /// Ends the view.
    fn end_read(&mut self);

    /// Begins a group and locks the counter row.
    fn begin_group(&mut self, mode: Mode) -> Result<(), Error>;

    /// Begins a change within the group.
    fn begin_change(&mut self) -> Result<(), Error>;

    /// Ends a change that counts. Fails, and the change must be undone, if one of its statements
    /// failed, even if the work did not mind.
    fn keep_change(&mut self) -> Result<(), Error>;

    /// Ends a change as if it had never begun.
    fn undo_change(&mut self) -> Result<(), Error>;

    /// Whether a change that was kept has written anything.
    fn has_written(&self) -> bool;

    /// Runs a last statement and commits.
    fn commit_group(&mut self, sql: &'static str, ints: &[i64]) -> Result<(), Error>;

    /// Drops the group, or what is left of it.
    fn abandon_group(&mut self);

    /// Why the group cannot be committed any more, or the connection not be used, if that is so.
    fn spoiled(&self) -> Option<Error>;

    /// Connects again after an `Error::Lost`, and takes the lock again if this is the writer.
    fn reconnect(&mut self) -> Result<(), Error>;

    /// Called when there was nothing to do for a while: finds out whether the connection still
    /// lives.
    fn check(&mut self) -> Result<(), Error>;
}
