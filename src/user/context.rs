//! What every handle of this crate is made from.

use proto::clock::{SharedClock, SharedRandom};
use ruma::OwnedServerName;
use store::Store;

use crate::SettingsHandle;

/// The store, the clock, randomness and the settings: what every handle needs. The daemon makes one and each handle
/// keeps a clone.
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
