//! Rooms for tests of this crate and of those above it, on a store of the test's. No part of the
//! running server.

pub mod crowd;
pub mod network;

use std::sync::Arc;

use arc_swap::ArcSwap;
use proto::signing::SigningKey;
use ruma::{OwnedServerName, ServerName};
use store::{
    Store,
    testing::{ManualClock, SeededRandom},
};

use crate::{AllowAll, Rooms, Settings, Setup};

/// What rooms of a server with this name are made from; the same seed gives the same key and
/// identifiers.
///
/// # Panics
/// If the name is not valid.
pub fn setup(store: Store, server: &str, seed: u64) -> Setup {
    let random = SeededRandom::new(seed);
    let server_name: OwnedServerName =
        ServerName::parse(server).expect("the test's server name is valid");
    Setup {
        store,
        server_name,
        signing_key: Arc::new(SigningKey::generate(&random)),
        clock: Arc::new(ManualClock::default()),
        random: Arc::new(random),
        settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        policy: Arc::new(AllowAll),
        peers: None,
        push: None,
    }
}

/// Rooms of the server `example.org` without other servers.
pub fn rooms(store: Store) -> Rooms {
    Rooms::new(setup(store, "example.org", 1))
}
