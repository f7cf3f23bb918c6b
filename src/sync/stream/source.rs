//! Where an answer's parts come from: first only what is in memory, then, if that is not enough,
//! one view of the database.
//!
//! Invariant: a stream asks the same questions of both, so an answer from memory and one from the
//! database are the same.

use std::{collections::HashMap, sync::Arc};

use proto::number::{EventNumber, UserNumber};
use room::{Event, Rooms};
use ruma::UserId;
use store::{Snapshot, room::events};

use super::Look;
use crate::{Error, inner::Parts, notifier::News};

/// Why something could not be found.
#[derive(Debug)]
pub(crate) enum Missing {
    /// It is not in memory; ask again with a snapshot.
    Database,
    /// Asking failed.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Missing {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What was found.
pub(crate) type Found<T> = Result<T, Missing>;

/// Memory, and the database if it has to be.
pub(crate) struct Source<'s, 't> {
    rooms: &'s Rooms,
    store: &'s store::Store,
    news: Option<&'s News>,
    snapshot: Option<&'s mut Snapshot<'t>>,
}

impl<'s, 't> Source<'s, 't> {
    pub(crate) fn new(look: &'s Look, snapshot: Option<&'s mut Snapshot<'t>>) -> Self {
        let Parts { rooms, store, .. } = &look.inner.parts;
        Self { rooms, store, news: look.news.as_ref(), snapshot }
    }

    /// The database, if it is at hand.
    pub(crate) fn snapshot(&mut self) -> Found<&mut Snapshot<'t>> {
        self.snapshot.as_deref_mut().ok_or(Missing::Database)
    }

    /// The events with these numbers, in the order asked for.
    pub(crate) fn events(&mut self, numbers: &[EventNumber]) -> Found<Vec<Arc<Event>>> {
        let cache = self.rooms.events();
        if let Some(snapshot) = &mut self.snapshot {
            return Ok(events::load_all(snapshot, cache, numbers)?);
        }
        let find = |number: &EventNumber| {
            // What just came may have had to make room in the cache already.
            let recent = || self.news?.find(*number);
            cache.get(*number).or_else(recent).ok_or(Missing::Database)
        };
        numbers.iter().map(find).collect()
    }

    /// The event with this number.
    pub(crate) fn event(&mut self, number: EventNumber) -> Found<Arc<Event>> {
        let mut events = self.events(&[number])?;
        events.pop().ok_or(Missing::Database)
    }

    /// The numbers of these users; those that the store does not know are left out.
    pub(crate) fn users<'u>(
        &mut self,
        ids: impl IntoIterator<Item = &'u UserId>,
    ) -> Found<HashMap<&'u UserId, UserNumber>> {
        let mut users = HashMap::new();
        for id in ids {
            if users.contains_key(id) {
                continue;
            }
            let number = match self.store.numbers().cached_user(id) {
                Some(number) => Some(number),
                None => self.snapshot()?.find_user(id)?,
            };
            users.extend(number.map(|number| (id, number)));
        }
        Ok(users)
    }
}
