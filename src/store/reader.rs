//! The reading threads. Each owns a connection and gives one read at a time a consistent view.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    engine::{Engine, Link},
    error::Error,
    queue::{Found, Queue},
    snapshot::Snapshot,
    store::Shared,
};

/// How long a reading thread waits for work before it looks after its connection.
const IDLE: Duration = Duration::from_mins(1);

/// How long a read waits for a database that is away: a restart of the server is not noticed.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two attempts to find it.
const PAUSE: Duration = Duration::from_millis(50);

/// A read in the queue.
pub(crate) trait Read: Send {
    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;

    /// When it was put into the queue.
    fn arrived(&self) -> Instant;

    /// Reads and answers.
    fn run(self: Box<Self>, snapshot: &mut Snapshot<'_>);

    /// Answers that there is nothing to read from.
    fn refuse(self: Box<Self>, error: Error);
}

/// A read with its caller's types.
pub(crate) struct Reading<F, T, E> {
    pub(crate) work: F,
    pub(crate) arrived: Instant,
    pub(crate) answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Read for Reading<F, T, E>
where
    F: FnOnce(&mut Snapshot<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn run(self: Box<Self>, snapshot: &mut Snapshot<'_>) {
        let work = self.work;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(snapshot)))
            .unwrap_or_else(|_| Err(E::from(Error::Panicked)));
        // A caller that no longer waits needs no answer.
        let _ = self.answer.send(outcome);
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(E::from(error)));
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

    /// Does one read. A panic of the engine, which would be a defect, costs the connection and not
    /// the thread.
    fn read(&self, slot: &mut Slot, read: Box<dyn Read>) {
        let mut link = match self.begin(slot, read.arrived()) {
            Ok(link) => link,
            Err(error) => return read.refuse(error),
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            read.run(&mut Snapshot::new(&mut *link, &self.shared));
            link.end_read();
            link
        }));
        *slot = done.ok().filter(|link| link.spoiled().is_none());
    }

    /// Begins a view on a connection that works, waiting a little for a database that is away.
    fn begin(&self, slot: &mut Slot, arrived: Instant) -> Result<Box<dyn Link>, Error> {
        let until = arrived + self.shared.settings.patience.min(READ_PATIENCE);
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

    fn try_begin(&self, slot: &mut Slot) -> Result<Box<dyn Link>, Error> {
        let opened = slot.take().map_or_else(|| self.engine.open_reader(), Ok);
        let mut link = opened.map_err(|error| Error::Unavailable(error.to_string()))?;
        link.begin_read(Instant::now() + self.shared.settings.snapshot_age)?;
        Ok(link)
    }
}
