//! Places for connections: as many as the limit says, which a reload may change.
//!
//! Invariant: a lower limit takes away free places at once, and taken ones when they become free;
//! nobody loses a place that he has. Places apart are taken by nobody else, and counted with the
//! others.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

/// All places. Clones mean the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Semaphore,
    limit: Mutex<Limit>,
    taken: Arc<watch::Sender<usize>>,
}

#[derive(Debug)]
struct Limit {
    most: usize,
    /// Places that are to go, but are taken.
    owed: usize,
}

impl Slots {
    pub(crate) fn new(most: usize) -> Self {
        Self::counted(most, Arc::new(watch::Sender::new(0)))
    }

    /// So many places more, which those who have places here cannot take.
    pub(crate) fn apart(&self, most: usize) -> Self {
        Self::counted(most, Arc::clone(&self.0.taken))
    }

    fn counted(most: usize, taken: Arc<watch::Sender<usize>>) -> Self {
        let (free, limit) = (Semaphore::new(most), Mutex::new(Limit { most, owed: 0 }));
        Self(Arc::new(Inner { free, limit, taken }))
    }

    /// A place, if there is one.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        self.0.free.try_acquire().ok()?.forget();
        Some(self.taken())
    }

    /// A place, once there is one.
    pub(crate) async fn take(&self) -> Option<Slot> {
        // The semaphore is never closed, so this is always a place.
        self.0.free.acquire().await.ok()?.forget();
        Some(self.taken())
    }

    fn taken(&self) -> Slot {
        self.0.taken.send_modify(|taken| *taken += 1);
        Slot(self.clone())
    }

    /// How many are taken, now and whenever that changes.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.0.taken.subscribe()
    }

    /// Changes how many there are.
    pub(crate) fn set_most(&self, most: usize) {
        let mut limit = self.0.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let more = most.saturating_sub(limit.most);
        let kept = more.min(limit.owed);
        limit.owed -= kept;
        self.0.free.add_permits(more - kept);
        let fewer = limit.most.saturating_sub(most);
        limit.owed += fewer - self.0.free.forget_permits(fewer);
        limit.most = most;
    }

    /// How many there are.
    pub(crate) fn most(&self) -> usize {
        self.0.limit.lock().unwrap_or_else(PoisonError::into_inner).most
    }

    fn give_back(&self) {
        let mut limit = self.0.limit.lock().unwrap_or_else(PoisonError::into_inner);
        match limit.owed.checked_sub(1) {
            Some(left) => limit.owed = left,
            None => self.0.free.add_permits(1),
        }
        drop(limit);
        self.0.taken.send_modify(|taken| *taken = taken.saturating_sub(1));
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Slots);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_waits_for_those_who_have_a_place() {
        let slots = Slots::new(3);
        let mut taken: Vec<_> = (0..3).map_while(|_| slots.try_take()).collect();
        assert_eq!((taken.len(), *slots.watch().borrow()), (3, 3));
        slots.set_most(1);
        taken.pop();
        taken.pop();
        assert!(slots.try_take().is_none(), "one is left, and one is allowed");
        taken.pop();
        let one = slots.try_take().unwrap();
        assert!(slots.try_take().is_none());
        slots.set_most(2);
        let two = slots.try_take().unwrap();
        assert!(slots.try_take().is_none());
        drop((one, two));
        assert_eq!(*slots.watch().borrow(), 0);
    }

    #[test]
    fn places_apart_are_counted_but_not_shared() {
        let slots = Slots::new(1);
        let apart = slots.apart(1);
        let (first, second) = (slots.try_take(), apart.try_take());
        assert!(first.is_some() && second.is_some());
        assert!(slots.try_take().is_none() && apart.try_take().is_none());
        assert_eq!((*slots.watch().borrow(), *apart.watch().borrow()), (2, 2));
        drop(second);
        assert!(slots.try_take().is_none() && apart.try_take().is_some());
    }

    #[test]
    fn what_is_owed_is_forgiven_by_a_higher_limit() {
        let slots = Slots::new(2);
        let taken: Vec<_> = (0..2).map_while(|_| slots.try_take()).collect();
        slots.set_most(1);
        slots.set_most(3);
        let third = slots.try_take();
        assert!(third.is_some() && slots.try_take().is_none());
        drop((taken, third));
        let free = std::iter::from_fn(|| slots.try_take()).collect::<Vec<_>>();
        assert_eq!((free.len(), slots.most()), (3, 3));
    }
}
