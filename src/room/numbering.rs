//! Numbers of events and state groups, and those that are promised to new names, taken in blocks.
//!
//! An event has its number before its change reaches the store's writer, because the next event of
//! the room already names it; so has a new state key. So numbers come in blocks whose end is
//! durable before the first of them is used: none is ever given twice, and what a stop leaves over
//! is a gap that nobody sees.

use std::ops::Range;

use parking_lot::Mutex;
use proto::number::{EventNumber, StateGroup};
use store::{Sequence, Store, room::txns};

use crate::RoomError;

/// How many numbers one block has.
const BLOCK: i64 = 4096;
/// How many numbers one block of users, rooms or state keys has. Users who are registered get
/// numbers behind the block, so a small one keeps the numbers near the order in which users came.
const NAMES_BLOCK: i64 = 256;
/// Of how many of the newest events the transaction ids are kept. A client that repeats a request
/// does so within moments.
const TXNS_KEPT: i64 = 262_144;

/// The blocks in use.
pub(crate) struct Numbering {
    store: Store,
    events: Mutex<Range<i64>>,
    groups: Mutex<Range<i64>>,
    users: Mutex<Range<i64>>,
    rooms: Mutex<Range<i64>>,
    state_keys: Mutex<Range<i64>>,
}

impl Numbering {
    pub(crate) fn new(store: Store) -> Self {
        let block = || Mutex::new(0..0);
        Self {
            store,
            events: block(),
            groups: block(),
            users: block(),
            rooms: block(),
            state_keys: block(),
        }
    }

    pub(crate) async fn next_event(&self) -> Result<EventNumber, RoomError> {
        self.next(&self.events, Sequence::Event, BLOCK).await.map(EventNumber)
    }

    pub(crate) async fn next_group(&self) -> Result<StateGroup, RoomError> {
        self.next(&self.groups, Sequence::StateGroup, BLOCK).await.map(StateGroup)
    }

    /// A number to promise to a new user, room or state key.
    pub(crate) async fn next_name(&self, sequence: Sequence) -> Result<i64, RoomError> {
        let block = match sequence {
            Sequence::User => &self.users,
            Sequence::Room => &self.rooms,
            _ => &self.state_keys,
        };
        self.next(block, sequence, NAMES_BLOCK).await
    }

    async fn next(
        &self,
        block: &Mutex<Range<i64>>,
        sequence: Sequence,
        length: i64,
    ) -> Result<i64, RoomError> {
        loop {
            if let Some(number) = block.lock().next() {
                return Ok(number);
            }
            let fresh = self.store.write(move |txn| {
                let first = txn.next_number(sequence);
                if sequence == Sequence::Event {
                    txns::prune(txn, EventNumber(first - TXNS_KEPT))?;
                }
                let last = (1..length).map(|_| txn.next_number(sequence)).last().unwrap_or(first);
                Ok::<_, RoomError>(first..last + 1)
            });
            let fresh = fresh.await?;
            let mut block = block.lock();
            // Whoever else was waiting may have brought a block, and the rest of one is given up.
            // Numbers never go back: an event's is greater than those of its auth events.
            if fresh.start >= block.end {
                *block = fresh;
            }
        }
    }
}
