//! What every handle of this crate is made from.

use std::sync::Arc;

use proto::{
    clock::{SharedClock, SharedRandom},
    number::UserNumber,
};
use ruma::{OwnedServerName, UserId};
use store::Store;

use crate::{Error, Settings, SettingsHandle};

/// The store, the clock, randomness and the settings: what every handle needs. The daemon makes one
/// and each handle keeps a clone.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub store: Store,
    /// The name that local users carry.
    pub server_name: OwnedServerName,
    /// The wall clock.
    pub clock: SharedClock,
    /// Unpredictable bytes for tokens, salts and identifiers.
    pub random: SharedRandom,
    /// What a reload of the configuration swaps.
    pub settings: SettingsHandle,
}

impl Context {
    /// Milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// One part in so many of the memory for caches.
    pub(crate) fn cache_bytes(&self, parts: u64) -> u64 {
        self.settings().cache_bytes / parts
    }

    /// Whether the user is one of this server's.
    pub(crate) fn is_local(&self, user_id: &UserId) -> bool {
        user_id.server_name() == self.server_name
    }

    /// The number of a user whom the store knows; from memory for whoever was asked for lately.
    pub(crate) async fn find_user(&self, user_id: &UserId) -> Result<Option<UserNumber>, Error> {
        if let Some(user) = self.store.numbers().cached_user(user_id) {
            return Ok(Some(user));
        }
        let user_id = user_id.to_owned();
        self.store.read(move |snapshot| Ok(snapshot.find_user(&user_id)?)).await
    }

    /// The number of a user who must be there.
    pub(crate) async fn load_user(&self, user_id: &UserId) -> Result<UserNumber, Error> {
        let unknown = || Error::UnknownUser(user_id.to_owned());
        self.find_user(user_id).await?.ok_or_else(unknown)
    }
}
