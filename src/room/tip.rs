//! The speculative tip of a room: its state once everything in flight is committed.
//!
//! Invariant: the tip's view is the committed view plus the changes in flight, in order; `pending`
//! holds the state events among them, which no cache may have yet.

use std::{collections::HashMap, sync::Arc};

use proto::number::EventNumber;
use store::room::{event::Body, levels::Path};

use crate::{RoomView, reach::Reach};

/// How many chains' ends are remembered; beyond it they are asked for again.
const CHAIN_ENDS_MAX: usize = 10_000;

/// What the next event of a room is built on.
pub(crate) struct Tip {
    pub(crate) view: Arc<RoomView>,
    /// The current state's group with its bases.
    pub(crate) path: Path,
    /// State events in flight.
    pub(crate) pending: Vec<Pending>,
    /// The last sequence of auth chains that were asked for or extended.
    pub(crate) chain_ends: HashMap<i64, i64>,
}

/// A state event in flight.
#[derive(Clone)]
pub(crate) struct Pending {
    /// The room's revision with it.
    pub(crate) revision: u64,
    pub(crate) body: Arc<Body>,
    /// Its place in the auth chain index, if it is of a type that can be an auth event.
    pub(crate) reach: Option<Arc<Reach>>,
}

impl Tip {
    pub(crate) fn new(view: Arc<RoomView>, path: Path) -> Self {
        Self { view, path, pending: Vec::new(), chain_ends: HashMap::new() }
    }

    /// Forgets what is committed by now: the caches have it.
    pub(crate) fn prune(&mut self, committed: u64) {
        self.pending.retain(|pending| pending.revision > committed);
        if self.pending.is_empty() && self.chain_ends.len() > CHAIN_ENDS_MAX {
            self.chain_ends.clear();
        }
    }

    pub(crate) fn pending(&self, number: EventNumber) -> Option<&Pending> {
        self.pending.iter().find(|pending| pending.body.number() == number)
    }
}
