//! Pages of a room's timeline, and single events.

use std::{collections::HashMap, sync::Arc};

use proto::number::{EventNumber, Position, RoomNumber};
use ruma::EventId;
use store::{
    Snapshot,
    room::{
        event::{Event, Outcome, Place},
        events, keys,
        timeline::{self, NEWEST_PLACE, OLDEST_PLACE, TimelineRow},
        txns,
    },
};

use super::{
    Direction, MessagesPage, MessagesRequest, PAGE_MAX, PageToken, Point, Reader, Reading, Visible,
    Wanted,
};
use crate::{RoomError, Rooms, visibility::Eye};

/// How many rows one question looks at, at most, before it answers with what it has found.
const SCAN_MAX: usize = 5_000;
/// How many rows are looked at by one statement, at most.
const BATCH_MAX: usize = 500;

/// A walk along the timeline.
pub(super) struct Walk {
    pub(super) room: RoomNumber,
    pub(super) direction: Direction,
    pub(super) from: Place,
    /// Not beyond.
    pub(super) to: Option<Place>,
    pub(super) upto: Position,
    pub(super) limit: usize,
    pub(super) wanted: Option<Wanted>,
}

/// What a walk has found.
pub(super) struct Walked {
    pub(super) events: Vec<Visible>,
    /// Where it can go on; `None` at the end.
    pub(super) next: Option<Place>,
}

impl Walk {
    /// Goes until there are enough events that the reader may see and wants.
    pub(super) fn run(
        &self,
        snapshot: &mut Snapshot<'_>,
        reader: &Reader,
        eye: &mut Eye,
    ) -> Result<Walked, RoomError> {
        let mut walked = Walked { events: Vec::new(), next: None };
        let mut place = self.from;
        let mut seen = 0;
        while seen < SCAN_MAX && walked.events.len() < self.limit {
            let batch = (self.limit - walked.events.len() + 1).clamp(2, BATCH_MAX);
            let rows = self.rows(snapshot, place, batch)?;
            let exhausted = rows.len() < batch;
            seen += rows.len();
            let numbers = rows.iter().map(|row| row.event).collect::<Vec<_>>();
            let loaded = events::load_all(snapshot, &reader.sight.events, &numbers)?;
            for (row, event) in rows.iter().zip(loaded) {
                if walked.events.len() == self.limit {
                    walked.next = Some(place);
                    break;
                }
                if self.is_beyond(row.place) {
                    return finish(snapshot, reader, walked);
                }
                place = self.behind(row.place);
                self.take(snapshot, eye, &event, &mut walked)?;
            }
            if exhausted && walked.next.is_none() {
                return finish(snapshot, reader, walked);
            }
        }
        walked.next = Some(place);
        finish(snapshot, reader, walked)
    }

    fn take(
        &self,
        snapshot: &mut Snapshot<'_>,
        eye: &mut Eye,
        event: &Arc<Event>,
        walked: &mut Walked,
    ) -> Result<(), RoomError> {
        if self.wanted.as_ref().is_some_and(|wanted| !wanted(event.pdu())) {
            return Ok(());
        }
        if let Some(membership) = eye.look(snapshot, event)? {
            let event = eye.show(event, membership);
            walked.events.push(Visible { event, membership, transaction_id: None });
        }
        Ok(())
    }

    fn rows(
        &self,
        snapshot: &mut Snapshot<'_>,
        place: Place,
        limit: usize,
    ) -> Result<Vec<TimelineRow>, store::Error> {
        match self.direction {
            Direction::Backward => {
                timeline::list_backward(snapshot, self.room, place, self.upto, limit)
            }
            Direction::Forward => {
                timeline::list_forward(snapshot, self.room, place, self.upto, limit)
            }
        }
    }

    fn is_beyond(&self, place: Place) -> bool {
        self.to.is_some_and(|to| match self.direction {
            Direction::Backward => place <= to,
            Direction::Forward => place > to,
        })
    }

    /// Where to go on after a row: going back, the place just before it.
    fn behind(&self, place: Place) -> Place {
        match self.direction {
            Direction::Backward => before(place),
            Direction::Forward => place,
        }
    }
}

fn finish(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    mut walked: Walked,
) -> Result<Walked, RoomError> {
    add_transaction_ids(snapshot, reader, &mut walked.events)?;
    Ok(walked)
}

/// The place just before a row: going back from there begins with the row before it.
pub(super) fn before(place: Place) -> Place {
    Place { position: place.position - 1, ..place }
}

/// Says which of the events the reader's own device has sent, and with what.
pub(super) fn add_transaction_ids(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    events: &mut [Visible],
) -> Result<(), RoomError> {
    let Some(device) = &reader.device else { return Ok(()) };
    let own = events.iter().filter(|visible| *visible.event.pdu().sender() == *reader.user_id);
    let own = own.map(|visible| visible.event.number()).collect::<Vec<EventNumber>>();
    let found = txns::list_of_events(snapshot, &own, device)?;
    let found = found.into_iter().collect::<HashMap<_, _>>();
    for visible in events {
        let txn_id = found.get(&visible.event.number());
        visible.transaction_id = txn_id.map(|txn_id| Arc::from(&**txn_id));
    }
    Ok(())
}

impl Point {
    /// As a place in a room's order.
    fn place(self, snapshot: &mut Snapshot<'_>, room: RoomNumber) -> Result<Place, store::Error> {
        match self {
            Self::Page(PageToken(place)) => Ok(place),
            Self::Position(position) => {
                let deepest = timeline::deepest_at(snapshot, room, position)?;
                Ok(deepest.map_or(OLDEST_PLACE, |row| row.place))
            }
        }
    }
}

/// The member events of the events' senders, in the state after the last of them.
pub(super) fn sender_members(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    events: &[Visible],
) -> Result<Vec<Arc<Event>>, RoomError> {
    // In the state at the newest of them every sender is known.
    let newest = events.iter().max_by_key(|visible| visible.event.place);
    let Some(group) = newest.and_then(|newest| newest.event.group) else {
        return Ok(Vec::new());
    };
    let mut numbers = Vec::new();
    for visible in events {
        let Some(sender) = snapshot.find_user(visible.event.pdu().sender())? else { continue };
        let member = reader.sight.groups.get(snapshot, group, keys::member_key(sender))?;
        numbers.extend(member);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(events::load_all(snapshot, &reader.sight.events, &numbers)?)
}

impl Rooms {
    /// A page of the timeline.
    pub async fn messages(
        &self,
        reading: Reading<'_>,
        request: MessagesRequest,
    ) -> Result<MessagesPage, RoomError> {
        let reader = self.insider(reading).await?;
        self.inner.setup.store.read(move |snapshot| page(snapshot, &reader, request.clone())).await
    }

    /// One event.
    pub async fn event(
        &self,
        reading: Reading<'_>,
        event_id: &EventId,
    ) -> Result<Visible, RoomError> {
        let reader = self.reader(reading).await.map_err(|error| match error {
            RoomError::NotInRoom => RoomError::EventNotFound,
            other => other,
        })?;
        let event_id = event_id.to_owned();
        let read = self.inner.setup.store.read(move |snapshot| {
            let mut seen = [see(snapshot, &reader, &mut reader.eye(), &event_id)?];
            add_transaction_ids(snapshot, &reader, &mut seen)?;
            let [seen] = seen;
            Ok::<_, RoomError>(seen)
        });
        read.await
    }

    /// Where an event stands in a room's timeline, if the user may see it.
    pub async fn place_of(
        &self,
        reading: Reading<'_>,
        event_id: &EventId,
    ) -> Result<Option<Place>, RoomError> {
        match self.event(reading, event_id).await {
            Ok(visible) => Ok(visible.event.place),
            Err(RoomError::EventNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One event of the room, if the reader may see it.
pub(super) fn see(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    eye: &mut Eye,
    event_id: &EventId,
) -> Result<Visible, RoomError> {
    let event = events::find_by_id(snapshot, &reader.sight.events, event_id)?;
    let is_here = |event: &Arc<Event>| {
        event.room == reader.view.number() && event.outcome == Outcome::Accepted
    };
    let event = event.filter(is_here).ok_or(RoomError::EventNotFound)?;
    let membership = eye.look(snapshot, &event)?.ok_or(RoomError::EventNotFound)?;
    let event = eye.show(&event, membership);
    Ok(Visible { event, membership, transaction_id: None })
}

fn page(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    request: MessagesRequest,
) -> Result<MessagesPage, RoomError> {
    let room = reader.view.number();
    let newest = snapshot.position()?;
    let from = match (request.from, request.direction) {
        (Some(point), _) => point.place(snapshot, room)?,
        (None, Direction::Forward) => OLDEST_PLACE,
        (None, Direction::Backward) => {
            let deepest = timeline::deepest_at(snapshot, room, newest)?;
            deepest.map_or(NEWEST_PLACE, |row| row.place)
        }
    };
    let to = request.to.map(|point| point.place(snapshot, room)).transpose()?;
    let walk = Walk {
        room,
        direction: request.direction,
        from,
        to,
        upto: reader.upto(newest),
        limit: request.limit.clamp(1, PAGE_MAX),
        wanted: request.wanted,
    };
    let walked = walk.run(snapshot, reader, &mut reader.eye())?;
    let state = if request.lazy_load_members {
        sender_members(snapshot, reader, &walked.events)?
    } else {
        Vec::new()
    };
    Ok(MessagesPage {
        start: PageToken(from),
        end: walked.next.map(PageToken),
        events: walked.events,
        state,
    })
}
