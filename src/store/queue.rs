//! A bounded queue from asynchronous callers to threads. A caller's place is fixed when `push`
//! returns.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Semaphore;

/// The queue was closed.
#[derive(Debug)]
pub(crate) struct Closed;

/// What a thread finds when it looks for work.
pub(crate) enum Found<T> {
    Items(Vec<T>),
    /// Nothing came within the time.
    Nothing,
    /// The queue is closed and empty.
    End,
}

pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    closing: Condvar,
    places: Semaphore,
}

struct State<T> {
    items: VecDeque<T>,
    waiting: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(length: usize) -> Self {
        Self {
            state: Mutex::new(State { items: VecDeque::new(), waiting: 0, closed: false }),
            ready: Condvar::new(),
            closing: Condvar::new(),
            places: Semaphore::new(length.max(1)),
        }
    }

    /// Waits for a place and takes it. Says whether no thread was free to take the item at once.
    pub(crate) async fn push(&self, item: T) -> Result<bool, Closed> {
        let Ok(place) = self.places.acquire().await else { return Err(Closed) };
        let mut state = self.state.lock();
        if state.closed {
            return Err(Closed);
        }
        // The place is given back when the item is taken.
        place.forget();
        state.items.push_back(item);
        let busy = state.items.len() > state.waiting;
        if state.waiting > 0 {
            self.ready.notify_one();
        }
        Ok(busy)
    }

    /// Takes up to `most` items that are there, waiting for the first one.
    pub(crate) fn take(&self, most: usize, patience: Duration) -> Found<T> {
        let until = Instant::now() + patience;
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.closed {
                return Found::End;
            }
            state.waiting += 1;
            let late = self.ready.wait_until(&mut state, until).timed_out();
            state.waiting -= 1;
            if late && state.items.is_empty() && !state.closed {
                return Found::Nothing;
            }
        }
        let count = most.min(state.items.len());
        let items = state.items.drain(..count).collect();
        drop(state);
        self.places.add_permits(count);
        Found::Items(items)
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Lets some time pass, less if the queue is closed meanwhile.
    pub(crate) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while !state.closed && !self.closing.wait_until(&mut state, until).timed_out() {}
    }

    /// Takes no more items; what is in the queue is still worked off.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.places.close();
        self.ready.notify_all();
        self.closing.notify_all();
    }

    /// Takes no more items and drops those that wait.
    pub(crate) fn abandon(&self) {
        self.close();
        let items = std::mem::take(&mut self.state.lock().items);
        drop(items);
    }
}

#[cfg(test)]
#[path = "queue_test.rs"]
mod tests;
