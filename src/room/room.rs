//! One room that is kept ready: its queue and its committed view.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use proto::{
    number::{Position, RoomNumber},
    rules::Rules,
};
use ruma::{OwnedRoomId, RoomId};
use tokio::sync::{Mutex, Notify};

use crate::{RoomView, tip::Tip};

/// A room. Cheap to clone; holding it keeps the room ready.
#[derive(Clone)]
pub struct Room(pub(crate) Arc<Core>);

/// What everybody who holds a room shares.
pub(crate) struct Core {
    pub(crate) number: RoomNumber,
    pub(crate) id: OwnedRoomId,
    pub(crate) rules: &'static Rules,
    /// The speculative tip: what the room will be once everything in flight is committed. Its lock
    /// is the room queue.
    pub(crate) tip: Mutex<Tip>,
    view: ArcSwap<RoomView>,
    position: AtomicU64,
    published: AtomicBool,
    /// Changes of this room in the writer's queue.
    in_flight: AtomicUsize,
    landed: Notify,
    /// A change failed: what the tip has on top of it can never be committed.
    broken: AtomicBool,
    /// What the cache of rooms was told that it weighs.
    weighed: AtomicUsize,
}

/// A room is weighed anew once it has become heavier by one part in so many.
const GROWTH_SHARE: usize = 4;

impl Core {
    pub(crate) fn new(tip: Tip, position: Position, published: bool) -> Self {
        let view = Arc::clone(&tip.view);
        Self {
            number: view.number,
            id: view.id.clone(),
            rules: view.rules,
            tip: Mutex::new(tip),
            view: ArcSwap::new(view),
            position: AtomicU64::new(position.0),
            published: AtomicBool::new(published),
            in_flight: AtomicUsize::new(0),
            landed: Notify::new(),
            broken: AtomicBool::new(false),
            weighed: AtomicUsize::new(0),
        }
    }

    /// About how many bytes it keeps in memory, for the cache of rooms.
    pub(crate) fn weigh(&self) -> usize {
        let weight = self.view.load().weight();
        self.weighed.store(weight, Ordering::Relaxed);
        weight
    }

    /// Whether it has become much heavier than the cache of rooms knows.
    pub(crate) fn has_outgrown(&self) -> bool {
        let weighed = self.weighed.load(Ordering::Relaxed);
        self.view.load().weight() > weighed + weighed / GROWTH_SHARE
    }

    pub(crate) fn view(&self) -> Arc<RoomView> {
        self.view.load_full()
    }

    /// Shows what was just committed. Called on the writer's thread, in the order of commits.
    pub(crate) fn show(&self, view: Arc<RoomView>, position: Position) {
        // First the position: whoever takes the view and asks for the position afterwards gets one
        // that covers it.
        self.position.fetch_max(position.0, Ordering::Release);
        self.view.store(view);
    }

    /// Shows what was loaded anew.
    pub(crate) fn reset(&self, view: Arc<RoomView>) {
        self.view.store(view);
        self.broken.store(false, Ordering::Release);
    }

    /// What the tip has on top of what is committed can never be committed.
    pub(crate) fn break_tip(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(crate) fn is_published(&self) -> bool {
        self.published.load(Ordering::Acquire)
    }

    pub(crate) fn set_published(&self, published: bool) {
        self.published.store(published, Ordering::Release);
    }

    /// Waits until no change of this room is in flight. Meaningful only for whoever holds the
    /// queue.
    pub(crate) async fn settle(&self) {
        loop {
            let mut landed = std::pin::pin!(self.landed.notified());
            landed.as_mut().enable();
            if self.in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            landed.await;
        }
    }
}

/// A change on its way through the writer. It lands when the writer drops it; unless it was
/// committed by then, the tip is broken.
pub(crate) struct Flight {
    core: Arc<Core>,
    committed: AtomicBool,
}

impl Flight {
    pub(crate) fn begin(core: &Arc<Core>) -> Arc<Self> {
        core.in_flight.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self { core: Arc::clone(core), committed: AtomicBool::new(false) })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn commit(&self) {
        self.committed.store(true, Ordering::Release);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.committed.load(Ordering::Acquire) {
            self.core.broken.store(true, Ordering::Release);
        }
        self.core.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.core.landed.notify_waiters();
    }
}

impl Room {
    /// Its number in the store.
    pub fn number(&self) -> RoomNumber {
        self.0.number
    }

    /// Its id.
    pub fn id(&self) -> &RoomId {
        &self.0.id
    }

    /// The rules of its version.
    pub fn rules(&self) -> &'static Rules {
        self.0.rules
    }

    /// The room as of its newest commit.
    pub fn view(&self) -> Arc<RoomView> {
        self.0.view()
    }

    /// The position of its newest timeline row or state change.
    pub fn position(&self) -> Position {
        Position(self.0.position.load(Ordering::Acquire))
    }
}
