//! The handle on all rooms: what it is made from, and how a room is found.

use std::sync::Arc;

use proto::{
    clock::{SharedClock, SharedRandom},
    number::RoomNumber,
    signing::SigningKey,
};
use ruma::{OwnedServerName, RoomId, ServerName};
use store::{Store, room::cache::EventCache};

use crate::{Policy, PushActions, Room, RoomError, SettingsHandle, receive::Peers};

/// What [`Rooms`] is made from.
#[derive(Clone)]
pub struct Setup {
    /// The database.
    pub store: Store,
    /// This server's name.
    pub server_name: OwnedServerName,
    /// The key that signs this server's events.
    pub signing_key: Arc<SigningKey>,
    /// The wall clock.
    pub clock: SharedClock,
    /// Unpredictable bytes for identifiers.
    pub random: SharedRandom,
    /// What a reload of the configuration swaps.
    pub settings: SettingsHandle,
    /// This server's own rules.
    pub policy: Arc<dyn Policy>,
    /// The other servers; `None` while there is no federation.
    pub peers: Option<Arc<dyn Peers>>,
    /// The push rules; `None` while nothing counts.
    pub push: Option<Arc<dyn PushActions>>,
}

/// All rooms of this server. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) setup: Setup,
}

impl Rooms {
    /// Makes the handle; reads what must be known from the start.
    pub async fn new(setup: Setup) -> Result<Rooms, RoomError> {
        let _ = setup;
        todo!()
    }

    /// This server's name.
    pub fn server_name(&self) -> &ServerName {
        &self.inner.setup.server_name
    }

    /// The room with this id, if this server knows it.
    pub async fn find(&self, id: &RoomId) -> Result<Option<Room>, RoomError> {
        let _ = id;
        todo!()
    }

    /// The room with this number.
    pub async fn find_by_number(&self, number: RoomNumber) -> Result<Option<Room>, RoomError> {
        let _ = number;
        todo!()
    }

    /// The events that are kept ready; to be used in reads of the store.
    pub fn events(&self) -> &EventCache {
        todo!()
    }
}
