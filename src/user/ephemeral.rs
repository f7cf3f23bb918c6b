//! The order of what is not durable: typing and presence. One counter per run of the process (its
//! epoch); a listener hears of each change after it can be read.
//!
//! Invariant: whoever reads the counter sees every change up to it. So a change takes its number,
//! becomes readable and moves the counter under one lock.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::{Mutex, RwLock};
use proto::number::RoomNumber;
use ruma::OwnedUserId;

use crate::Context;

/// The counter of ephemeral changes and their listeners.
#[derive(Clone)]
pub struct Ephemeral {
    inner: Arc<Inner>,
}

struct Inner {
    epoch: u64,
    counter: AtomicU64,
    turn: Mutex<()>,
    listeners: RwLock<Vec<EphemeralListener>>,
}

/// A change that can be read by now.
#[derive(Clone, Debug)]
pub enum EphemeralChange {
    /// Somebody started or stopped typing in this room.
    Typing {
        /// The room.
        room: RoomNumber,
    },
    /// The presence of somebody changed.
    Presence {
        /// Who.
        user: OwnedUserId,
        /// The rooms that she is joined to: whoever is in one of them sees it, and she herself.
        rooms: Arc<[RoomNumber]>,
    },
}

/// What hears of changes; called in order, must not block.
pub type EphemeralListener = Arc<dyn Fn(u64, &EphemeralChange) + Send + Sync>;

impl Ephemeral {
    /// A counter that starts anew.
    pub fn new(context: &Context) -> Self {
        let mut bytes = [0; 8];
        context.random.fill(&mut bytes);
        // Positive in 63 bits, whatever a token makes of it.
        let epoch = (u64::from_le_bytes(bytes) >> 1).max(1);
        let inner = Inner {
            epoch,
            counter: AtomicU64::new(0),
            turn: Mutex::default(),
            listeners: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The number of this run of the process: positions of another run mean nothing here.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch
    }

    /// The newest change that can be read.
    pub fn counter(&self) -> u64 {
        self.inner.counter.load(Ordering::Acquire)
    }

    /// Adds a listener for the process's life.
    pub fn add_listener(&self, listener: EphemeralListener) {
        self.inner.listeners.write().push(listener);
    }

    /// Lets `apply` make a change readable under the next number; nothing happens when it makes
    /// none.
    pub(crate) fn publish(&self, apply: impl FnOnce(u64) -> Option<EphemeralChange>) {
        let turn = self.inner.turn.lock();
        let next = self.inner.counter.load(Ordering::Acquire) + 1;
        let Some(change) = apply(next) else { return };
        self.inner.counter.store(next, Ordering::Release);
        for listener in &*self.inner.listeners.read() {
            listener(next, &change);
        }
        drop(turn);
    }
}
