//! A connection to the server as the store's threads use it.
//!
//! A group that reads nothing is one statement. Otherwise the transaction is begun with its first
//! statement and sent together with it; gathered rows, savepoints and the commit are sent without
//! waiting for what was sent before, so that a group needs as few round trips as its reads ask for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Postgres, Role,
    gather::{Gather, Taken},
    session::{Failure, Prepared, Session},
};
use crate::{
    batch::Batch,
    dialect::Dialect,
    engine::{EachRow, Link, Mode},
    error::Error,
    value::Value,
};

/// Locks the counter row, and so waits for whatever a lost session may still be committing.
const LOCK: &str = "SELECT batch FROM counter WHERE id = 1 FOR UPDATE";
const BEGIN_GROUP: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const UNDO: &str = "ROLLBACK TO SAVEPOINT change; RELEASE SAVEPOINT change";

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Nothing,
    Reading,
    Group(Mode),
}

/// How far the transaction is on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NotBegun,
    Begun,
    /// The running change has a savepoint.
    Savepoint,
}

/// One connection.
pub(super) struct PostgresLink {
    server: Arc<Postgres>,
    role: Role,
    session: Session,
    gather: Gather,
    work: Work,
    stage: Stage,
    deadline: Option<Instant>,
    /// The first failure of a statement in this change.
    failure: Option<Error>,
    spoiled: Option<Error>,
    written: bool,
    written_before: bool,
}

impl PostgresLink {
    pub(super) fn new(server: Arc<Postgres>, role: Role, session: Session) -> Self {
        Self {
            server,
            role,
            session,
            gather: Gather::default(),
            work: Work::Nothing,
            stage: Stage::NotBegun,
            deadline: None,
            failure: None,
            spoiled: None,
            written: false,
            written_before: false,
        }
    }

    /// Begins the transaction on the server, together with what is sent next.
    fn begin(&mut self) -> Result<(), Error> {
        if self.stage != Stage::NotBegun {
            return Ok(());
        }
        match self.work {
            Work::Nothing => return Ok(()),
            Work::Reading => self.session.send(BEGIN_READ),
            Work::Group(_) => {
                let lock = self.session.prepare(LOCK)?;
                self.session.send(BEGIN_GROUP);
                self.session.send_prepared(&lock, &[]);
            }
        }
        self.stage = Stage::Begun;
        Ok(())
    }

    /// Gives the running change a savepoint before its first row is written.
    fn set_savepoint(&mut self) {
        let apart = matches!(self.work, Work::Group(Mode::Together | Mode::Apart));
        if apart && self.stage == Stage::Begun {
            self.session.send("SAVEPOINT change");
            self.stage = Stage::Savepoint;
        }
    }

    /// Sends the gathered rows of the tables that a statement names, or of all tables.
    fn flush(&mut self, sql: Option<&str>) -> Result<(), Error> {
        for Taken { batch, earlier, own } in self.gather.take(sql) {
            self.begin()?;
            self.session.send_rows(batch, earlier)?;
            if !own.is_empty() {
                self.set_savepoint();
                self.session.send_rows(batch, own)?;
            }
        }
        Ok(())
    }

    fn run(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<u64, Error> {
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(Error::TooOld);
        }
        let prepared = self.make_ready(sql).map_err(|error| self.note(error))?;
        let ran = self.session.run(&prepared, params, each);
        match ran.failure {
            None => Ok(ran.changed),
            Some(Failure::Server(error)) => Err(self.note(error)),
            Some(Failure::Reader(error)) => {
                self.failure.get_or_insert_with(|| error.clone());
                Err(error)
            }
        }
    }

    fn make_ready(&mut self, sql: &'static str) -> Result<Prepared, Error> {
        let prepared = self.session.prepare(sql)?;
        self.begin()?;
        self.flush(Some(sql))?;
        if prepared.writes {
            self.set_savepoint();
            self.written = true;
        }
        Ok(prepared)
    }

    /// Notes a failure that the server has told or that lost the connection: the transaction can do
    /// nothing any more until it is rolled back, to the change's savepoint at least.
    fn note(&mut self, error: Error) -> Error {
        self.failure.get_or_insert_with(|| error.clone());
        let lost = matches!(error, Error::Lost(_));
        if lost || self.work == Work::Group(Mode::Together) {
            self.spoiled.get_or_insert_with(|| error.clone());
        }
        error
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.session.settle().map_err(|error| self.note(error))
    }

    /// Sends the end of the transaction if there is one, and says whether there was.
    fn leave(&mut self, command: &'static str) -> bool {
        self.gather.clear();
        self.work = Work::Nothing;
        self.deadline = None;
        let begun = std::mem::replace(&mut self.stage, Stage::NotBegun) != Stage::NotBegun;
        if begun {
            self.session.send(command);
        }
        begun
    }
}

impl Link for PostgresLink {
    fn query(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), Error> {
        self.run(sql, params, each).map(drop)
    }

    fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.run(sql, params, &mut |_| Ok(()))
    }

    fn insert(&mut self, batch: &'static Batch, row: &[Value<'_>]) -> Result<(), Error> {
        self.written = true;
        if self.gather.has_other(batch) {
            self.flush(Some(batch.table)).map_err(|error| self.note(error))?;
        }
        let outcome = self.gather.insert(batch, row);
        if let Err(error) = &outcome {
            self.failure.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    fn run_script(&mut self, sql: &str) -> Result<(), Error> {
        let outcome = self.session.run_script(&Dialect::Postgres.translate(sql));
        if outcome.is_err() {
            // What failed matters, not that there may be nothing to roll back.
            let _ = self.session.run_script("ROLLBACK");
        }
        outcome
    }

    fn begin_read(&mut self, deadline: Instant) -> Result<(), Error> {
        if self.session.has_ended() {
            return Err(self.note(Error::Lost("the server ended the session".to_owned())));
        }
        self.work = Work::Reading;
        self.deadline = Some(deadline);
        Ok(())
    }

    fn end_read(&mut self) {
        if self.leave("COMMIT") {
            // Nothing hangs on the answer: whoever reads next takes it.
            self.session.push();
        }
    }

    fn begin_group(&mut self, mode: Mode) -> Result<(), Error> {
        self.work = Work::Group(mode);
        self.failure = None;
        self.written = false;
        if let Some(error @ Error::Lost(_)) = &self.spoiled {
            return Err(error.clone());
        }
        self.spoiled = None;
        // What was lost before anything was sent is certainly not committed.
        if self.session.has_ended() {
            return Err(self.note(Error::Lost("the server ended the session".to_owned())));
        }
        Ok(())
    }

    fn begin_change(&mut self) -> Result<(), Error> {
        self.failure = None;
        self.written_before = self.written;
        self.gather.mark();
        if self.work == Work::Group(Mode::Apart) {
            self.begin()?;
            self.set_savepoint();
        }
        Ok(())
    }

    fn keep_change(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        if self.work == Work::Group(Mode::Apart) {
            self.flush(None)
                .and_then(|()| self.session.settle())
                .map_err(|error| self.note(error))?;
        }
        if self.stage == Stage::Savepoint {
            self.session.send("RELEASE SAVEPOINT change");
            self.stage = Stage::Begun;
        }
        Ok(())
    }

    fn undo_change(&mut self) -> Result<(), Error> {
        self.written = self.written_before;
        self.gather.undo();
        if self.stage == Stage::Savepoint {
            self.stage = Stage::Begun;
            let outcome = self.session.settle();
            // What was written apart is this change's own and of no interest any more.
            if self.work == Work::Group(Mode::Together) {
                outcome.map_err(|error| self.note(error))?;
            }
            self.session.send(UNDO);
            return self.settle();
        }
        Ok(())
    }

    fn has_written(&self) -> bool {
        self.written
    }

    fn commit_group(&mut self, sql: &'static str, ints: &[i64]) -> Result<(), Error> {
        if self.stage == Stage::NotBegun {
            // Nobody has read or written anything yet, so the group fits into one statement.
            self.gather.mark();
            let taken = self.gather.take(None);
            let outcome = self.session.run_group(sql, ints, &taken);
            outcome.map_err(|error| self.note(error))?;
            self.work = Work::Nothing;
            return Ok(());
        }
        let last = self.session.prepare(sql).map_err(|error| self.note(error))?;
        self.begin().and_then(|()| self.flush(None)).map_err(|error| self.note(error))?;
        self.session.send_prepared(&last, ints);
        // If one of the statements before it fails, the server turns this into a rollback.
        self.session.send("COMMIT");
        self.settle()?;
        self.stage = Stage::NotBegun;
        self.work = Work::Nothing;
        Ok(())
    }

    fn abandon_group(&mut self) {
        self.leave("ROLLBACK");
        if let Err(error @ Error::Lost(_)) = self.session.settle() {
            self.note(error);
        }
    }

    fn spoiled(&self) -> Option<Error> {
        self.spoiled.clone()
    }

    fn reconnect(&mut self) -> Result<(), Error> {
        self.session =
            self.server.connect(self.role).map_err(|error| Error::Lost(error.to_string()))?;
        self.gather.clear();
        self.stage = Stage::NotBegun;
        self.failure = None;
        self.spoiled = None;
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        self.session.send("");
        self.settle()
    }
}

/// How long a session may sit in a transaction that does nothing: longer than any group or view of
/// ours.
pub(super) const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(2);
