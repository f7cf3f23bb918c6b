//! The rows of a room's order, newest first, before it is known which of them are shown.
//!
//! Invariant: every row of the stretch comes once, whether it is in memory or in the database.

use std::sync::Arc;

use proto::number::{EventNumber, Position, RoomNumber, StateGroup};
use room::{Event, Place};
use ruma::RoomId;
use store::{
    Change, Record,
    room::{event::ClientTxn, timeline},
};

use super::{Found, Look, Source};

/// The part of a room's order that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) room: RoomNumber,
    pub(crate) id: &'a RoomId,
    /// Up to here the client knows the room; none if it does not know it.
    pub(crate) since: Option<Position>,
    pub(crate) upto: Position,
    /// From here on the reader was joined, without a break, up to the stay's end.
    pub(crate) joined_from: Option<Position>,
    /// Where the reader's last stay ended; none for somebody who is there.
    pub(crate) stay_end: Option<Position>,
    /// The room's current state, if `upto` is now.
    pub(crate) group: Option<StateGroup>,
}

/// A row before it is known whether its reader gets it.
pub(crate) struct Candidate {
    pub(crate) event: Arc<Event>,
    /// What it was sent with, if that is in memory.
    pub(crate) txn: Option<Arc<ClientTxn>>,
}

/// The rows of a stretch, newest first: from memory as far as that reaches, then from the database.
pub(crate) struct Rows<'a> {
    stretch: Stretch<'a>,
    /// Oldest first; taken from the end.
    memory: Vec<Candidate>,
    /// The next row from the database is at or before this position; what is after it is in memory.
    upto: Position,
    /// Events that came from the database, where transaction ids are looked up apart.
    pub(crate) read: Vec<EventNumber>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(look: &Look, stretch: Stretch<'a>) -> Self {
        let news = look.news.as_ref().and_then(|news| news.rooms.get(&stretch.room));
        let (floor, memory) = match (news, stretch.since, look.since) {
            // The room's news reach back to the token.
            (Some(records), Some(since), Some(token)) if since >= token.position => {
                (since, candidates(records, stretch))
            }
            _ => {
                let (floor, records) = look.inner.notifier.room_tail(stretch.room);
                (floor, candidates(&records, stretch))
            }
        };
        Self { stretch, memory, upto: stretch.upto.min(floor), read: Vec::new() }
    }

    /// The next rows, newest first; none at the stretch's end.
    pub(crate) fn next(
        &mut self,
        source: &mut Source<'_, '_>,
        count: usize,
    ) -> Found<Vec<Candidate>> {
        if !self.memory.is_empty() {
            let start = self.memory.len().saturating_sub(count);
            return Ok(self.memory.drain(start..).rev().collect());
        }
        let since = self.stretch.since.unwrap_or(Position(0));
        if self.upto <= since {
            return Ok(Vec::new());
        }
        let snapshot = source.snapshot()?;
        let rows = timeline::list_newest(snapshot, self.stretch.room, since, self.upto, count)?;
        let oldest = rows.last().map_or(since, |row| position(row.place));
        self.upto = Position(oldest.0.saturating_sub(1)).max(since);
        let numbers = rows.iter().map(|row| row.event).collect::<Vec<_>>();
        self.read.extend(&numbers);
        let events = source.events(&numbers)?;
        Ok(events.into_iter().map(|event| Candidate { event, txn: None }).collect())
    }
}

fn candidates(records: &[Arc<Record>], stretch: Stretch<'_>) -> Vec<Candidate> {
    let is_inside = |position: Position| {
        position <= stretch.upto && stretch.since.is_none_or(|since| position > since)
    };
    let candidate = |record: &Arc<Record>| match &record.change {
        Change::Timeline { event, txn, .. } if is_inside(record.position) => {
            Some(Candidate { event: Arc::clone(event), txn: txn.clone() })
        }
        _ => None,
    };
    records.iter().filter_map(candidate).collect()
}

/// The position of a row that came after the room was begun here.
pub(crate) fn position(place: Place) -> Position {
    Position(u64::try_from(place.position).unwrap_or(0))
}
