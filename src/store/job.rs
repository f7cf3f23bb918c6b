//! A change that waits for its turn, with its caller's types taken away, and the future that its
//! caller waits on.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::sync::oneshot;

use crate::{error::Error, write_txn::WriteTxn};

/// A change in the writer's queue.
pub(crate) trait Job: Send {
    /// When it was put into the queue.
    fn arrived(&self) -> Instant;

    /// Runs the work and keeps its outcome; says whether its rows shall be kept.
    fn run(&mut self, txn: &mut WriteTxn<'_>) -> bool;

    /// Replaces the outcome by an error.
    fn refuse(&mut self, error: Error);

    /// Tells the outcome to the caller.
    fn answer(self: Box<Self>);
}

/// A piece of work and its outcome.
pub(crate) struct Work<F, T, E> {
    run: F,
    arrived: Instant,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

/// A change that has its place in the writer's order: resolves after its commit was made durable
/// and published.
pub struct Commit<T, E> {
    answer: oneshot::Receiver<Result<T, E>>,
}

impl<F, T, E> Work<F, T, E>
where
    F: Fn(&mut WriteTxn<'_>) -> Result<T, E>,
    E: From<Error>,
{
    pub(crate) fn new(work: F) -> (Self, Commit<T, E>) {
        let (sender, receiver) = oneshot::channel();
        (
            Self { run: work, arrived: Instant::now(), outcome: None, answer: sender },
            Commit { answer: receiver },
        )
    }
}

impl<F, T, E> Job for Work<F, T, E>
where
    F: Fn(&mut WriteTxn<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn arrived(&self) -> Instant {
        self.arrived
    }

    fn run(&mut self, txn: &mut WriteTxn<'_>) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(txn)))
            .unwrap_or_else(|_| Err(E::from(Error::Panicked)));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn refuse(&mut self, error: Error) {
        self.outcome = Some(Err(E::from(error)));
    }

    fn answer(self: Box<Self>) {
        let Self { run, outcome, answer, .. } = *self;
        // What the work held has come to its end when its caller hears of it.
        drop(run);
        // A caller that no longer waits needs no answer.
        let _ = answer.send(outcome.unwrap_or_else(|| Err(E::from(Error::Closed))));
    }
}

impl<T, E: From<Error>> Future for Commit<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(E::from(Error::Closed))))
    }
}
