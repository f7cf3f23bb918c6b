//! An event and what is around it.

use std::{collections::HashSet, sync::Arc};

use ruma::OwnedEventId;
use store::{
    Snapshot,
    room::{
        event::{Event, Place},
        events,
        keys::{self, key_user},
    },
};

use super::{
    CONTEXT_MAX, Context, ContextRequest, Direction, PageToken, Reader, Reading, Visible, Wanted,
    messages::{Walk, Walked, add_transaction_ids, before, see},
};
use crate::{RoomError, Rooms, visibility::Eye};

/// A request with its lifetime taken away.
struct Question {
    event_id: OwnedEventId,
    limit: usize,
    wanted: Option<Wanted>,
    lazy_load_members: bool,
}

impl Rooms {
    /// An event and what is around it.
    pub async fn context(
        &self,
        reading: Reading<'_>,
        request: ContextRequest<'_>,
    ) -> Result<Context, RoomError> {
        let reader = self.reader(reading).await?;
        let question = Question {
            event_id: request.event_id.to_owned(),
            limit: request.limit.min(CONTEXT_MAX),
            wanted: request.wanted,
            lazy_load_members: request.lazy_load_members,
        };
        self.inner.setup.store.read(move |snapshot| around(snapshot, &reader, &question)).await
    }
}

fn around(
    snapshot: &mut Snapshot<'_>,
    reader: &Reader,
    question: &Question,
) -> Result<Context, RoomError> {
    let mut eye = reader.eye();
    let event = see(snapshot, reader, &mut eye, &question.event_id)?;
    let place = event.event.place.ok_or(RoomError::EventNotFound)?;
    let half = question.limit / 2;
    let back = (Direction::Backward, before(place), half);
    let older = side(snapshot, (reader, &mut eye), question, back)?;
    let forth = (Direction::Forward, place, question.limit - half);
    let newer = side(snapshot, (reader, &mut eye), question, forth)?;
    let mut event = [event];
    add_transaction_ids(snapshot, reader, &mut event)?;
    let [event] = event;
    let newest = newer.events.last().unwrap_or(&event);
    let state = match newest.event.group {
        Some(group) => {
            let state = reader.sight.groups.map(snapshot, group)?;
            let shown = older.events.iter().chain(&newer.events).chain([&event]);
            let senders = senders(snapshot, shown)?;
            let is_needed = |key| match key_user(key) {
                Some(_) if question.lazy_load_members => senders.contains(&key),
                _ => true,
            };
            let numbers = state.iter().filter(|(key, _)| is_needed(**key));
            let numbers = numbers.map(|(_, number)| *number).collect::<Vec<_>>();
            let mut state = events::load_all(snapshot, &reader.sight.events, &numbers)?;
            let is_wanted = |event: &Arc<Event>| {
                question.wanted.as_ref().is_none_or(|wanted| wanted(event.pdu()))
            };
            state.retain(is_wanted);
            state
        }
        None => Vec::<Arc<Event>>::new(),
    };
    let end = newest.event.place.unwrap_or(place);
    let start = older.next.unwrap_or_else(|| before(oldest(&older.events, place)));
    Ok(Context {
        start: PageToken(start),
        end: PageToken(end),
        event,
        before: older.events,
        after: newer.events,
        state,
    })
}

fn oldest(older: &[Visible], place: Place) -> Place {
    older.last().and_then(|visible| visible.event.place).unwrap_or(place)
}

fn side(
    snapshot: &mut Snapshot<'_>,
    (reader, eye): (&Reader, &mut Eye),
    question: &Question,
    (direction, from, limit): (Direction, Place, usize),
) -> Result<Walked, RoomError> {
    if limit == 0 {
        return Ok(Walked { events: Vec::new(), next: Some(from) });
    }
    let newest = snapshot.position()?;
    let walk = Walk {
        room: reader.view.number(),
        direction,
        from,
        to: None,
        upto: reader.upto(newest),
        limit,
        wanted: question.wanted.clone(),
    };
    walk.run(snapshot, reader, eye)
}

/// The member keys of the events' senders.
fn senders<'v>(
    snapshot: &mut Snapshot<'_>,
    events: impl Iterator<Item = &'v Visible>,
) -> Result<HashSet<store::StateKeyNumber>, store::Error> {
    let mut senders = HashSet::new();
    for visible in events {
        if let Some(user) = snapshot.find_user(visible.event.pdu().sender())? {
            senders.insert(keys::member_key(user));
        }
    }
    Ok(senders)
}
