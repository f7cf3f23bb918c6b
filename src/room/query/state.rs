//! The state of a room as its reader may see it: the current one for those who are joined, the last
//! one of their stay for those who left.

use std::sync::Arc;

use proto::number::StateGroup;
use store::{
    Snapshot,
    room::{changes, event::Event, events},
};

use super::{Reader, Reading};
use crate::{RoomError, Rooms};

impl Reader {
    /// The state that the reader may see.
    pub(super) fn group(&self, snapshot: &mut Snapshot<'_>) -> Result<StateGroup, RoomError> {
        let view = &self.view;
        if self.is_joined() || self.is_open() {
            return Ok(view.group());
        }
        let until = self.joined_until.ok_or(RoomError::NotInRoom)?;
        let group = changes::group_at(snapshot, view.number(), until)?;
        group.ok_or(RoomError::NotInRoom)
    }
}

impl Rooms {
    /// The current state, or, for those who left, the state when they did.
    pub async fn state(&self, reading: Reading<'_>) -> Result<Vec<Arc<Event>>, RoomError> {
        let reader = self.insider(reading).await?;
        let read = self.inner.setup.store.read(move |snapshot| {
            let group = reader.group(snapshot)?;
            let state = reader.sight.groups.map(snapshot, group)?;
            let numbers = state.values().copied().collect::<Vec<_>>();
            Ok::<_, RoomError>(events::load_all(snapshot, &reader.sight.events, &numbers)?)
        });
        read.await
    }

    /// One event of that state.
    pub async fn state_event(
        &self,
        reading: Reading<'_>,
        event_type: &str,
        state_key: &str,
    ) -> Result<Arc<Event>, RoomError> {
        let reader = self.insider(reading).await?;
        let pair = (event_type.to_owned(), state_key.to_owned());
        let key = self.inner.find_keys(&[pair]).await?.pop().flatten();
        let key = key.ok_or(RoomError::StateNotFound)?;
        let read = self.inner.setup.store.read(move |snapshot| {
            let group = reader.group(snapshot)?;
            let number = reader.sight.groups.get(snapshot, group, key)?;
            let number = number.ok_or(RoomError::StateNotFound)?;
            Ok::<_, RoomError>(events::load(snapshot, &reader.sight.events, number)?)
        });
        read.await
    }
}
