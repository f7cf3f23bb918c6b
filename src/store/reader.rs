//! The reading threads. Each owns a connection and gives one read at a time a consistent view.
//!
//! Invariant: an answer belongs to one view. A read whose connection is lost on the way is done
//! again from its beginning, on a new view: nobody notices that the database server was restarted.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    engine::{Engine, Link},
    error::{Error, OpenError},
    queue::{Found, Queue},
    shared::Shared,
    snapshot::Snapshot,
};

/// How long a reading thread waits for work before it looks after its connection.
const IDLE: Duration = Duration::from_mins(1);

/// How long a read waits for a database that is away: a restart of the server is not noticed.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// How often a read is begun whose connection is lost on the way.
const ATTEMPTS_MAX: usize = 3;
/// The pause between two attempts to find the database.
const PAUSE: Duration = Duration::from_millis(50);

/// A read in the queue.
pub(crate) trait Read: Send {
    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;

    /// When it was put into the queue.
    fn arrived(&self) -> Instant;

    /// Reads and keeps the outcome.
    fn run(&mut self, snapshot: &mut Snapshot<'_>);

    /// Replaces the outcome: there is nothing to read from.
    fn refuse(&mut self, error: Error);

    /// Tells the outcome to the caller.
    fn answer(self: Box<Self>);
}

/// A read with its caller's types.
pub(crate) struct Reading<F, T, E> {
    work: F,
    arrived: Instant,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Reading<F, T, E> {
    pub(crate) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, answered) = oneshot::channel();
        (Self { work, arrived: Instant::now(), outcome: None, answer }, answered)
    }
}

impl<F, T, E> Read for Reading<F, T, E>
where
    F: Fn(&mut Snapshot<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn run(&mut self, snapshot: &mut Snapshot<'_>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(snapshot)));
        self.outcome = Some(outcome.unwrap_or_else(|_| Err(E::from(Error::Panicked))));
    }

    fn refuse(&mut self, error: Error) {
        self.outcome = Some(Err(E::from(error)));
    }

    fn answer(self: Box<Self>) {
        let outcome = self.outcome.unwrap_or_else(|| Err(E::from(Error::Closed)));
        // A caller that no longer waits needs no answer.
        let _ = self.answer.send(outcome);
    }
}

/// A reading thread.
pub(crate) struct Reader {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Arc<Queue<Box<dyn Read>>>,
}

/// The reading thread's connection, once it has one.
type Slot = Option<Box<dyn Link>>;

impl Reader {
    /// Reads until the queue is closed.
    pub(crate) fn read_all(self) {
        let mut slot = None;
        loop {
            match self.queue.take(1, IDLE) {
                Found::End => return,
                Found::Nothing => {
                    if slot.as_mut().is_some_and(|link: &mut Box<dyn Link>| link.check().is_err()) {
                        self.shared.meters.readers.lost.increment();
                        slot = None;
                    }
                }
                Found::Items(reads) => {
                    for read in reads.into_iter().filter(|read| read.is_wanted()) {
                        self.read(&mut slot, read);
                    }
                }
            }
        }
    }

    /// Does one read, again if its connection is lost on the way, and answers.
    fn read(&self, slot: &mut Slot, mut read: Box<dyn Read>) {
        let mut since = read.arrived();
        let meters = &self.shared.meters;
        meters.read_waits.observe(since.elapsed());
        for _ in 0..ATTEMPTS_MAX {
            match self.begin(slot, since) {
                Ok(link) => match self.try_read(link, &mut *read) {
                    Ok(link) => {
                        *slot = link;
                        break;
                    }
                    Err(error) => {
                        meters.readers.lost.increment();
                        tracing::debug!(%error, "a read was cut off");
                    }
                },
                Err(error) => {
                    read.refuse(error);
                    break;
                }
            }
            since = Instant::now();
        }
        read.answer();
    }

    /// Does one read on one connection, and gives it back if it is still good; fails if it was lost
    /// on the way. A panic of the engine, which would be a defect, costs the connection and not the
    /// thread.
    fn try_read(&self, mut link: Box<dyn Link>, read: &mut dyn Read) -> Result<Slot, Error> {
        let done = catch_unwind(AssertUnwindSafe(|| {
            read.run(&mut Snapshot::new(&mut *link, &self.shared));
            let cut_off = link.spoiled().filter(|error| matches!(error, Error::Lost(_)));
            cut_off.map_or(Ok(()), Err)?;
            link.end_read();
            Ok(link)
        }));
        match done {
            Ok(outcome) => Ok(Some(outcome?).filter(|link| link.spoiled().is_none())),
            Err(_) => Ok(None),
        }
    }

    /// Begins a view on a connection that works, waiting a little for a database that is away.
    fn begin(&self, slot: &mut Slot, since: Instant) -> Result<Box<dyn Link>, Error> {
        let until = since + self.shared.settings.patience.min(READ_PATIENCE);
        loop {
            let error = match self.try_begin(slot) {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            if Instant::now() + PAUSE > until {
                return Err(error);
            }
            self.queue.pause(PAUSE);
        }
    }

    fn open(&self) -> Result<Box<dyn Link>, OpenError> {
        let link = self.engine.open_reader()?;
        self.shared.meters.readers.opened.increment();
        Ok(link)
    }

    fn try_begin(&self, slot: &mut Slot) -> Result<Box<dyn Link>, Error> {
        let opened = slot.take().map_or_else(|| self.open(), Ok);
        let mut link = opened.map_err(|error| Error::Unavailable(error.to_string()))?;
        link.begin_read(Instant::now() + self.shared.settings.snapshot_age)?;
        Ok(link)
    }
}
