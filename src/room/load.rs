//! How a room is made ready: from its row, its state group and its members.

use std::sync::Arc;

use imbl::OrdMap;
use proto::{
    number::{Position, RoomNumber, StateKeyNumber},
    rules::Rules,
    state::StateMap,
};
use ruma::OwnedServerName;
use store::{
    Snapshot,
    room::{cache::EventCache, directory, event::Body, events, groups::GroupCache, members, rooms},
};

use crate::{
    RoomError, RoomView,
    members::{Member, Members},
    tip::Tip,
    view::{Parts, is_pinned},
};

/// A room as the database has it.
pub(crate) struct Loaded {
    pub(crate) tip: Tip,
    pub(crate) position: Position,
    pub(crate) published: bool,
}

/// What loading needs.
#[derive(Clone)]
pub(crate) struct Loader {
    pub(crate) server: OwnedServerName,
    pub(crate) events: EventCache,
    pub(crate) groups: GroupCache,
}

impl Loader {
    /// Loads a room, if this server is or was in it.
    pub(crate) fn load(
        &self,
        snapshot: &mut Snapshot<'_>,
        number: RoomNumber,
    ) -> Result<Option<Loaded>, RoomError> {
        let Some(row) = rooms::find(snapshot, number)? else { return Ok(None) };
        let id = snapshot.load_room(number)?;
        let rules = Rules::of(&row.version)
            .ok_or_else(|| RoomError::Damaged(format!("unknown version {:?}", row.version)))?;
        let path = self.groups.path(snapshot, row.group)?;
        let state = self.groups.map(snapshot, row.group)?;
        let tips = events::load_all(snapshot, &self.events, &row.tips)?;
        let view = RoomView::new(Parts {
            number,
            id,
            rules,
            revision: row.revision,
            group: row.group,
            depth: row.depth,
            tips: tips.iter().map(|event| Arc::clone(&event.body)).collect(),
            pinned: self.pinned(snapshot, &state)?,
            members: self.members(snapshot, number)?,
            state,
        })?;
        Ok(Some(Loaded {
            tip: Tip::new(Arc::new(view), path),
            position: row.position,
            published: directory::contains(snapshot, number)?,
        }))
    }

    fn pinned(
        &self,
        snapshot: &mut Snapshot<'_>,
        state: &StateMap,
    ) -> Result<OrdMap<StateKeyNumber, Arc<Body>>, RoomError> {
        let pinned = state.range(StateKeyNumber(1)..).take_while(|(key, _)| is_pinned(**key));
        let (keys, numbers): (Vec<_>, Vec<_>) = pinned.map(|(key, number)| (*key, *number)).unzip();
        let loaded = events::load_all(snapshot, &self.events, &numbers)?;
        Ok(keys.into_iter().zip(loaded.iter().map(|event| Arc::clone(&event.body))).collect())
    }

    fn members(&self, snapshot: &mut Snapshot<'_>, room: RoomNumber) -> Result<Members, RoomError> {
        let mut members = Members::default();
        for (user, user_id, membership, event) in members::list_present(snapshot, room)? {
            members.set(user, Member { user_id, membership, event }, &self.server);
        }
        Ok(members)
    }
}
