//! The settings of this crate; the daemon makes them from the configuration and a reload swaps
//! them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ruma::RoomVersionId;

/// A handle whose content a reload swaps.
pub type SettingsHandle = Arc<ArcSwap<Settings>>;

/// Everything about rooms that an administrator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The version of rooms that are created without naming one.
    pub default_version: RoomVersionId,
    /// Whether `m.federate` is set to false in rooms that do not say.
    pub federate_by_default: bool,
    /// Memory for rooms that are kept ready, in bytes. Taken at the start.
    pub rooms_bytes: u64,
    /// Memory for events that are kept ready, in bytes. Taken at the start.
    pub events_bytes: u64,
    /// Memory for states that are kept ready, in bytes. Taken at the start.
    pub states_bytes: u64,
    /// Whether users may put rooms into the public directory.
    pub publishing: bool,
    /// Whether the directory is answered to callers without an account.
    pub directory_without_login: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_version: RoomVersionId::V12,
            federate_by_default: true,
            rooms_bytes: 16 * 1024 * 1024,
            events_bytes: 16 * 1024 * 1024,
            states_bytes: 8 * 1024 * 1024,
            publishing: true,
            directory_without_login: false,
        }
    }
}
