//! What the handlers answer from: handles on the crates below, made by the daemon.

use std::{ops::Deref, sync::Arc};

use proto::clock::SharedClock;
use room::Rooms;
use ruma::OwnedServerName;
use sync::Sync;
use tokio_util::sync::CancellationToken;
use user::{
    AccountData, Accounts, Directory, Filters, Presence, Profiles, Receipts, RegistrationTokens,
    Sessions, SharedSecret, Typing, Uia,
};

use crate::{RequestStats, SettingsHandle, meters::Meters, rate::Limiter};

/// What the API is made from.
pub struct Parts {
    /// This server's name.
    pub server_name: OwnedServerName,
    /// What a reload of the configuration swaps.
    pub settings: SettingsHandle,
    /// The settings of users, which capabilities and log-in flows tell.
    pub user_settings: user::SettingsHandle,
    /// The settings of rooms, which capabilities tell.
    pub room_settings: room::SettingsHandle,
    /// The wall clock.
    pub clock: SharedClock,
    /// Rooms.
    pub rooms: Rooms,
    /// Accounts of users.
    pub accounts: Accounts,
    /// Their sessions and devices.
    pub sessions: Sessions,
    /// User-interactive authentication.
    pub uia: Uia,
    /// Who holds one may register.
    pub registration_tokens: RegistrationTokens,
    /// Registration with the shared secret.
    pub shared_secret: SharedSecret,
    /// Profiles.
    pub profiles: Profiles,
    /// Account data and tags.
    pub account_data: AccountData,
    /// Stored filters.
    pub filters: Filters,
    /// Receipts and read markers.
    pub receipts: Receipts,
    /// Who is typing.
    pub typing: Typing,
    /// Who is online.
    pub presence: Presence,
    /// The user directory.
    pub user_directory: Directory,
    /// `/sync`.
    pub sync: Sync,
    /// Cancelled when the server begins to stop: long polls are answered then, with nothing new.
    pub stopping: CancellationToken,
}

/// The handlers' state. Cheap to clone; every router of a server is made from clones of one, so
/// that rate limits count whatever listener a request came by.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Parts,
    limiter: Limiter,
    meters: Arc<Meters>,
}

impl State {
    /// Puts the state together.
    pub fn new(parts: Parts) -> Self {
        let limiter = Limiter::new(Arc::clone(&parts.settings));
        Self(Arc::new(Inner { parts, limiter, meters: Meters::new() }))
    }

    /// What requests have come to until now.
    pub fn requests(&self) -> RequestStats {
        self.0.meters.read(self.0.limiter.refused())
    }

    /// What is counted of requests.
    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.0.meters
    }

    /// Who may do what how often.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.0.limiter
    }

    /// The time now in milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.parts.clock.now_ms()
    }
}

impl Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}
