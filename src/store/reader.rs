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

/// A read in the queue.
pub(crate) trait Read: Send {
    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;

    /// Reads and answers.
    fn run(self: Box<Self>, snapshot: &mut Snapshot<'_>);

    /// Answers that there is nothing to read from.
    fn refuse(self: Box<Self>, error: Error);
}

/// A read with its caller's types.
pub(crate) struct Reading<F, T, E> {
    pub(crate) work: F,
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

/// Reads until the queue is closed.
pub(crate) fn read_all(engine: &dyn Engine, shared: &Arc<Shared>, queue: &Queue<Box<dyn Read>>) {
    let mut link = None;
    loop {
        match queue.take(1, IDLE) {
            Found::End => return,
            Found::Nothing => {
                if link.as_mut().is_some_and(|link: &mut Box<dyn Link>| link.check().is_err()) {
                    link = None;
                }
            }
            Found::Items(reads) => {
                for read in reads {
                    if read.is_wanted() {
                        read_one(engine, shared, &mut link, read);
                    }
                }
            }
        }
    }
}

fn read_one(
    engine: &dyn Engine,
    shared: &Shared,
    slot: &mut Option<Box<dyn Link>>,
    read: Box<dyn Read>,
) {
    let opened = match slot.take() {
        Some(link) => Ok(link),
        None => engine.open_reader().map_err(|error| Error::Unavailable(error.to_string())),
    };
    let mut link = match opened {
        Ok(link) => link,
        Err(error) => return read.refuse(error),
    };
    let deadline = Instant::now() + shared.settings.snapshot_age;
    if let Err(error) = link.begin_read(deadline) {
        return read.refuse(error);
    }
    read.run(&mut Snapshot::new(&mut *link, shared));
    link.end_read();
    if link.spoiled().is_none() {
        *slot = Some(link);
    }
}
