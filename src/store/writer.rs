//! The store writer: gathers what is waiting into one transaction, commits it, publishes it, then answers.
//!
//! Invariant: nothing is published or answered before the commit that makes it durable, and published positions have no
//! gaps. A group goes
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
    queue::{Found, Queue},
    snapshot::Snapshot,
    store::Shared,
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

/// Why an attempt at a group did not end in a commit.
struct Trouble {
    error: Error,
    /// What the group leaves behind if its commit counted after all.
    sent: Option<Box<Outcome>>,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self { error, sent: None }
    }
}

/// Owns the writing connection.
pub(crate) struct Writer {
    link: Box<dyn Link>,
    shared: Arc<Shared>,
    queue: Arc<Queue<Box<dyn Job>>>,
    counters: Counters,
    /// Set once another node has written: what this one has in memory is no longer true.
    superseded: Option<Error>,
}

impl Writer {
    pub(crate) fn new(
        link: Box<dyn Link>,
        shared: Arc<Shared>,
        queue: Arc<Queue<Box<dyn Job>>>,
        counters: Counters,
    ) -> Self {
        Self { link, shared, queue, counters, superseded: None }
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn write_all(mut self) {
        loop {
            match self.queue.take(GROUP_CHANGES, IDLE) {
                Found::End => return,
                Found::Nothing => self.look_after_connection(),
                Found::Items(jobs) => self.write_group(jobs),
            }
        }
    }

    fn look_after_connection(&mut self) {
        if self.superseded.is_none()
            && self.link.check().is_err()
            && let Err(error) = self.reconnect(None)
        {
            tracing::warn!(%error, "the database is away");
        }
    }

    /// Runs a group until it is committed or has failed, and answers its callers.
    fn write_group(&mut self, mut jobs: Jobs) {
        let until = Instant::now() + self.shared.settings.patience;
        let mut mode = if jobs.len() == 1 { Mode::Alone } else { Mode::Together };
        let outcome = loop {
            if let Some(error) = &self.superseded {
                break Err(error.clone());
            }
            let trouble = match self.try_group(&mut jobs, mode) {
                Ok(outcome) => break Ok(outcome),
                Err(trouble) => trouble,
            };
            self.link.abandon_group();
            match trouble.error {
                Error::Lost(reason) => match self.recover(until, &reason, trouble.sent) {
                    Ok(Some(outcome)) => break Ok(outcome),
                    Ok(None) => {}
                    Err(error) => break Err(error),
                },
                error @ (Error::Storage(_) | Error::Busy(_)) => {
                    // Read again what is really there before anything else is written.
                    match self.reconnect(trouble.sent.as_deref()) {
                        Ok(true) => break trouble.sent.map(|sent| *sent).ok_or(error),
                        Err(superseded @ Error::Superseded(_)) => break Err(superseded),
                        _ => break Err(error),
                    }
                }
                error if mode != Mode::Together => break Err(error),
                error => {
                    tracing::debug!(%error, "a group is run again, each change apart");
                    mode = Mode::Apart;
                }
            }
        };
        match outcome {
            Ok(outcome) => self.publish(outcome),
            Err(error) => {
                tracing::error!(%error, changes = jobs.len(), "a group of changes failed");
                for job in &mut jobs {
                    job.refuse(error.clone());
                }
            }
        }
        for job in jobs {
            job.answer();
        }
    }

    /// Runs all changes in one transaction and commits it.
    fn try_group(&mut self, jobs: &mut Jobs, mode: Mode) -> Result<Outcome, Trouble> {
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
        match self.link.commit_group(STORE, &outcome.counters.row()) {
            Ok(()) => Ok(outcome),
            Err(error) => Err(Trouble { error, sent: Some(Box::new(outcome)) }),
        }
    }

    /// Connects again, and finds out whether a group whose commit was sent has counted.
    fn recover(
        &mut self,
        until: Instant,
        reason: &str,
        sent: Option<Box<Outcome>>,
    ) -> Result<Option<Outcome>, Error> {
        tracing::warn!(reason, "the connection to the database was lost");
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.reconnect(sent.as_deref()) {
                Ok(true) => return Ok(sent.map(|sent| *sent)),
                Ok(false) => return Ok(None),
                Err(error @ Error::Superseded(_)) => return Err(error),
                Err(error) => error,
            };
            if Instant::now() + pause > until {
                return Err(match sent {
                    Some(_) => Error::Unknown(error.to_string()),
                    None => Error::Unavailable(error.to_string()),
                });
            }
            self.queue.pause(pause);
            pause = GREATEST_PAUSE.min(pause * 2);
        }
    }

    /// Makes one attempt to connect again. Says whether the group that was sent has counted.
    fn reconnect(&mut self, sent: Option<&Outcome>) -> Result<bool, Error> {
        self.link.reconnect()?;
        // The lock on the counter row waits for whatever the lost session may still be committing.
        self.link.begin_group(Mode::Alone)?;
        let found = Counters::load(&mut Snapshot::new(&mut *self.link, &self.shared));
        self.link.abandon_group();
        let found = found?;
        tracing::info!("connected to the database again");
        if found == self.counters {
            return Ok(false);
        }
        if sent.is_some_and(|outcome| outcome.counters == found) {
            return Ok(true);
        }
        let error = Error::Superseded(format!(
            "group {} was written while the connection was lost",
            found.batch
        ));
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
            // The work did not mind that a statement failed, but the change cannot count without it.
            Err(error) => job.refuse(error),
        }
    }
    txn.undo_change(&mark)
}
