//! The store writer: gathers what is waiting into one transaction, commits it, publishes it, then
//! answers.
//!
//! Invariant: nothing is published or answered before the commit that makes it durable, and
//! published positions have no gaps. A group goes
//!
//! ```text
//! waiting → run, together ──────────────→ commit sent → committed → published → answered
//!              │ a statement failed          │ answer lost
//!              ↓                             ↓
//!           run again, each apart         look whether it counted
//! ```

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    counter::{Counters, STORE},
    engine::{Link, Mode},
    error::Error,
    job::Job,
    pulse,
    queue::{Found, Queue},
    shared::Shared,
    snapshot::Snapshot,
    write_txn::{Outcome, WriteTxn},
};

/// The greatest number of changes in one group.
pub(crate) const GROUP_CHANGES: usize = 64;
/// How long the writer waits for work before it looks after its connection.
const IDLE: Duration = Duration::from_secs(10);
/// The first pause between two attempts to connect again; it doubles up to the greatest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const GREATEST_PAUSE: Duration = Duration::from_secs(2);

type Jobs = Vec<Box<dyn Job>>;

/// Owns the writing connection.
pub(crate) struct Writer {
    link: Box<dyn Link>,
    shared: Arc<Shared>,
    queue: Arc<Queue<Box<dyn Job>>>,
    counters: Counters,
    /// A group whose commit was sent, and of which nobody knows yet whether it counts.
    in_doubt: Option<Box<Outcome>>,
    /// Set once another node has written: what this one has in memory is no longer true.
    superseded: Option<Error>,
    /// Whether the log was told that the database is away, and not yet that it is back.
    told_away: bool,
}

impl Writer {
    pub(crate) fn new(
        link: Box<dyn Link>,
        shared: Arc<Shared>,
        queue: Arc<Queue<Box<dyn Job>>>,
        counters: Counters,
    ) -> Self {
        Self { link, shared, queue, counters, in_doubt: None, superseded: None, told_away: false }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn write_all(mut self) {
        loop {
            pulse::beat();
            match self.queue.take(GROUP_CHANGES, IDLE) {
                Found::End => return,
                Found::Nothing => self.look_after_connection(),
                Found::Items(jobs) => self.write_group(jobs),
            }
        }
    }

    fn look_after_connection(&mut self) {
        if self.superseded.is_some() || (self.link.check().is_ok() && self.in_doubt.is_none()) {
            return;
        }
        // However long it is away, it is told once.
        if let Err(error) = self.settle(Instant::now())
            && !std::mem::replace(&mut self.told_away, true)
        {
            tracing::warn!(%error, "the database is away");
        }
    }

    /// Writes a group, publishes it and answers its callers.
    fn write_group(&mut self, mut jobs: Jobs) {
        // The last one of a group may be as patient as the first one.
        let newest = jobs.iter().map(|job| job.arrived()).max().unwrap_or_else(Instant::now);
        match self.run_group(&mut jobs, newest + self.shared.settings.patience) {
            Ok(outcome) => {
                let changes = if outcome.wrote { jobs.len() } else { 0 };
                self.shared.meters.changes.add(u64::try_from(changes).unwrap_or_default());
                if outcome.wrote {
                    pulse::tell_full(false);
                }
                self.publish(outcome);
            }
            Err(error) => {
                self.note_failure(&error, jobs.len());
                for job in &mut jobs {
                    job.refuse(error.clone());
                }
            }
        }
        for job in jobs {
            job.answer();
        }
    }

    /// Counts and logs that a group has failed.
    fn note_failure(&self, error: &Error, changes: usize) {
        // Whoever asked for a change expects this one: an engine that hears of it only at the end
        // of the group is no worse off than one that refuses the statement.
        if matches!(error, Error::Exists(_) | Error::Moved) {
            tracing::debug!(%error, "a change met what is there already");
            return;
        }
        self.shared.meters.failed_groups.increment();
        // Both are told once, and a group that fails for it is no more news.
        if matches!(error, Error::Full(_)) {
            pulse::tell_full(true);
            return tracing::debug!(%error, changes, "a group of changes found no room");
        }
        if self.told_away && matches!(error, Error::Unavailable(_)) {
            return tracing::debug!(%error, changes, "a group of changes found no database");
        }
        tracing::error!(%error, changes, "a group of changes failed");
    }

    /// Runs a group until it is committed or has failed.
    fn run_group(&mut self, jobs: &mut Jobs, until: Instant) -> Result<Outcome, Error> {
        if self.in_doubt.is_some() {
            // An earlier group's, whose callers were told that nobody knows.
            self.settle(until)?;
        }
        let mut mode = if jobs.len() == 1 { Mode::Alone } else { Mode::Together };
        loop {
            if let Some(error) = &self.superseded {
                return Err(error.clone());
            }
            let error = match self.try_group(jobs, mode) {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            self.link.abandon_group();
            match error {
                Error::Lost(reason) => {
                    self.shared.meters.writer.lost.increment();
                    if !std::mem::replace(&mut self.told_away, true) {
                        tracing::warn!(reason, "the connection to the database was lost");
                    }
                    if let Some(outcome) = self.recover(until)? {
                        return Ok(outcome);
                    }
                }
                Error::Full(_) | Error::Storage(_) | Error::Busy(_) => return self.look_up(error),
                error => {
                    // The database has said that it did not commit.
                    self.in_doubt = None;
                    if mode != Mode::Together {
                        return Err(error);
                    }
                    tracing::debug!(%error, "a group is run again, each change apart");
                    mode = Mode::Apart;
                }
            }
        }
    }

    /// Runs all changes in one transaction and commits it.
    fn try_group(&mut self, jobs: &mut Jobs, mode: Mode) -> Result<Outcome, Error> {
        self.link.begin_group(mode)?;
        let mut txn = WriteTxn::new(&mut *self.link, &self.shared, self.counters);
        for job in jobs {
            run_job(&mut txn, job.as_mut())?;
        }
        let mut outcome = txn.finish();
        if !outcome.wrote {
            self.link.abandon_group();
            return Ok(outcome);
        }
        outcome.counters.batch += 1;
        let row = outcome.counters.row();
        let begun = Instant::now();
        let committed = self.link.commit_group(STORE, &row);
        self.shared.meters.commits.observe(begun.elapsed());
        if let Err(error) = committed {
            self.in_doubt = Some(Box::new(outcome));
            return Err(error);
        }
        Ok(outcome)
    }

    /// After a disk or a lock has failed the group: whatever is in doubt is looked up before
    /// anything else is written.
    fn look_up(&mut self, error: Error) -> Result<Outcome, Error> {
        if self.in_doubt.is_some()
            && let Ok(Some(outcome)) = self.reconnect()
        {
            return Ok(outcome);
        }
        Err(error)
    }

    /// Finds out about the group that is in doubt, if there is one, and publishes it if it counts.
    fn settle(&mut self, until: Instant) -> Result<(), Error> {
        if let Some(outcome) = self.recover(until)? {
            self.publish(outcome);
        }
        Ok(())
    }

    /// Connects again, trying for some time. Gives back the group that was in doubt if it counts.
    fn recover(&mut self, until: Instant) -> Result<Option<Outcome>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            pulse::beat();
            let error = match self.reconnect() {
                Ok(outcome) => return Ok(outcome),
                Err(error @ Error::Superseded(_)) => return Err(error),
                Err(error) => error.to_string(),
            };
            if Instant::now() + pause > until {
                return Err(match self.in_doubt {
                    Some(_) => Error::Unknown(error),
                    None => Error::Unavailable(error),
                });
            }
            self.queue.pause(pause);
            pause = GREATEST_PAUSE.min(pause * 2);
        }
    }

    /// Makes one attempt to connect again. Gives back the group that was in doubt if it counts.
    fn reconnect(&mut self) -> Result<Option<Outcome>, Error> {
        self.link.reconnect()?;
        self.shared.meters.writer.opened.increment();
        // The lock on the counter row waits for whatever the lost session may still be committing.
        self.link.begin_group(Mode::Alone)?;
        let found = Counters::load(&mut Snapshot::new(&mut *self.link, &self.shared));
        self.link.abandon_group();
        let found = found?;
        let in_doubt = self.in_doubt.take();
        let counted = in_doubt.filter(|outcome| outcome.counters == found);
        if counted.is_some() || found == self.counters {
            if std::mem::take(&mut self.told_away) {
                tracing::info!("the database is there again");
            }
            return Ok(counted.map(|outcome| *outcome));
        }
        let batch = found.batch;
        let reason = format!("its group {batch} was written while the connection was lost");
        let error = Error::Superseded(reason);
        tracing::error!(%error, "this node writes no more");
        self.shared.failure.send_replace(Some(error.clone()));
        self.superseded = Some(error.clone());
        Err(error)
    }

    /// Makes a committed group visible to everybody, in order.
    fn publish(&mut self, outcome: Outcome) {
        self.shared.numbers.admit(&outcome.fresh);
        for callback in outcome.callbacks {
            if catch_unwind(AssertUnwindSafe(callback)).is_err() {
                tracing::error!("a callback panicked after its commit");
            }
        }
        if !outcome.wrote {
            return;
        }
        self.counters = outcome.counters;
        self.shared.meters.groups.increment();
        self.shared.log.append(&outcome.records, outcome.counters.position);
        if outcome.records.is_empty() {
            return;
        }
        for listener in self.shared.listeners.read().iter() {
            if catch_unwind(AssertUnwindSafe(|| listener(&outcome.records))).is_err() {
                tracing::error!("a listener panicked");
            }
        }
    }
}

/// Runs one change. An error means that the group is spoiled.
fn run_job(txn: &mut WriteTxn<'_>, job: &mut dyn Job) -> Result<(), Error> {
    let mark = txn.begin_change()?;
    let wanted = job.run(txn);
    if let Some(error) = txn.spoiled() {
        return Err(error);
    }
    if wanted {
        match txn.keep_change() {
            Ok(()) => return Ok(()),
            Err(error) if txn.spoiled().is_some() => return Err(error),
            // The work did not mind that a statement failed, but the change cannot count without
            // it.
            Err(error) => job.refuse(error),
        }
    }
    txn.undo_change(&mark)
}
