//! What a server's database says of a room: how its state moved, and what stands in its timeline.
//! By this the clients' pictures are judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ruma::{OwnedEventId, RoomId};
use store::{
    Position,
    room::{changes, event::Event, events, timeline},
};

use crate::server::Server;

/// Type and state key.
pub(crate) type Key = (String, String);
/// A room's state by ids.
pub(crate) type State = BTreeMap<Key, OwnedEventId>;

/// More rows than any play makes.
const ROWS_MAX: usize = 100_000;

/// A room's record at one server.
pub(crate) struct Record {
    /// The state that the server was given when it came into the room.
    first: State,
    changes: Vec<Change>,
    /// The timeline, in the order in which it came.
    pub(crate) rows: Vec<(Position, OwnedEventId)>,
    /// The state in the end.
    pub(crate) state: State,
    pub(crate) joined_count: usize,
    pub(crate) invited_count: usize,
}

/// A move of the current state.
struct Change {
    position: Position,
    key: Key,
    new: Option<OwnedEventId>,
}

/// A walk through the states that a room had at its server.
pub(crate) struct Walk<'r> {
    record: &'r Record,
    next: usize,
    /// The state at the place that was reached.
    pub(crate) state: State,
    /// What was in the state before, and is not now.
    pub(crate) removed: BTreeSet<Key>,
}

impl Record {
    pub(crate) async fn read(server: &Server, room: &RoomId) -> Self {
        let view = server.rooms.find(room).await.unwrap().unwrap().view();
        let (cache, groups) = (server.rooms.events().clone(), server.rooms.groups().clone());
        let (joined_count, invited_count) = (view.joined_count(), view.invited_count());
        let read = server.store.read(move |snapshot| {
            let (room, newest) = (view.number(), snapshot.position()?);
            let all = changes::list_between(snapshot, room, Position(0), newest, ROWS_MAX)?;
            let first = match groups.parent(snapshot, all[0].group)? {
                Some(first) => groups.map(snapshot, first)?,
                None => proto::state::StateMap::new(),
            };
            let mut load = |numbers: Vec<_>| events::load_all(snapshot, &cache, &numbers);
            let first = by_id(&load(first.values().copied().collect())?);
            let state = by_id(&load(view.state().values().copied().collect())?);
            let moved = load(all.iter().map(|one| one.new.or(one.old).unwrap()).collect())?;
            let change = |(one, event): (&changes::StateChange, &Arc<Event>)| Change {
                position: one.position,
                key: key_of(event).unwrap(),
                new: one.new.map(|_| event.event_id().to_owned()),
            };
            let changes = all.iter().zip(&moved).map(change).collect();
            let rows = timeline::list_newest(snapshot, room, Position(0), newest, ROWS_MAX)?;
            let shown = rows.iter().rev().map(|row| row.event).collect::<Vec<_>>();
            let shown = events::load_all(snapshot, &cache, &shown)?;
            let position = |row: &timeline::TimelineRow| u64::try_from(row.place.position).unwrap();
            let rows = rows.iter().rev().zip(&shown);
            let rows = rows.map(|(row, event)| (Position(position(row)), event_id(event)));
            let rows = rows.collect();
            Ok::<_, store::Error>(Self { first, changes, rows, state, joined_count, invited_count })
        });
        read.await.unwrap()
    }

    /// A walk from before the server's first sight of the room.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk { record: self, next: 0, state: State::new(), removed: BTreeSet::new() }
    }
}

impl Walk<'_> {
    /// Goes on to a position.
    pub(crate) fn advance(&mut self, upto: Position) {
        let changes = self.record.changes[self.next..].iter();
        for change in changes.take_while(|change| change.position <= upto) {
            if self.next == 0 {
                self.state = self.record.first.clone();
            }
            self.next += 1;
            let key = change.key.clone();
            if let Some(new) = &change.new {
                self.removed.remove(&key);
                self.state.insert(key, new.clone());
            } else {
                self.state.remove(&key);
                self.removed.insert(key);
            }
        }
    }
}

fn event_id(event: &Arc<Event>) -> OwnedEventId {
    event.event_id().to_owned()
}

fn key_of(event: &Event) -> Option<Key> {
    Some((event.pdu().type_str().to_owned(), event.pdu().state_key()?.to_owned()))
}

/// State events as a state.
pub(crate) fn by_id(state: &[Arc<Event>]) -> State {
    state.iter().map(|event| (key_of(event).unwrap(), event_id(event))).collect()
}
