//! What rooms ask of other servers. The federation answers; in tests, other rooms.
//!
//! Spec: server-server API, "Backfilling and retrieving missing events", "Retrieving events",
//! "Joining Rooms".

use std::{future::Future, pin::Pin};

use proto::verify::VerifyKeys;
use ruma::{EventId, OwnedEventId, OwnedServerName, RoomId, RoomVersionId, ServerName, UserId};
use serde_json::value::RawValue;

/// A boxed future, since the trait is used as an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PeerError>> + Send + 'a>>;

/// Why another server did not help.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PeerError(pub String);

/// A question for the events between what we have and what we got.
#[derive(Clone, Debug)]
pub struct MissingEvents {
    /// What we have: our newest events.
    pub earliest: Vec<OwnedEventId>,
    /// What we got: whose previous events are missing.
    pub latest: Vec<OwnedEventId>,
    /// At most so many.
    pub limit: usize,
}

/// The state before an event, by ids.
#[derive(Clone, Debug, Default)]
pub struct StateIds {
    /// The state.
    pub state: Vec<OwnedEventId>,
    /// Its full auth chain.
    pub auth_chain: Vec<OwnedEventId>,
}

/// The event that a user would join with, as a server in the room proposes it.
#[derive(Clone, Debug)]
pub struct JoinTemplate {
    /// The room's version.
    pub version: RoomVersionId,
    /// The event without hashes and signatures.
    pub event: Box<RawValue>,
}

/// What a server in the room answers to a join.
#[derive(Clone, Debug, Default)]
pub struct JoinAnswer {
    /// The join, with that server's signature where a restricted rule wants it.
    pub event: Option<Box<RawValue>>,
    /// The state before the join.
    pub state: Vec<Box<RawValue>>,
    /// The state's full auth chain.
    pub auth_chain: Vec<Box<RawValue>>,
}

/// What rooms ask of other servers. The federation answers; in tests, other rooms.
pub trait Peers: Send + Sync + 'static {
    /// The keys that these servers sign with, for these key identifiers, where they can be had.
    fn keys(
        &self,
        wanted: Vec<(OwnedServerName, Vec<String>)>,
    ) -> Answer<'_, Box<dyn VerifyKeys + Send + Sync>>;

    /// `/get_missing_events`.
    fn missing_events<'a>(
        &'a self,
        server: &'a ServerName,
        room: &'a RoomId,
        question: MissingEvents,
    ) -> Answer<'a, Vec<Box<RawValue>>>;

    /// `/state_ids`.
    fn state_ids<'a>(
        &'a self,
        server: &'a ServerName,
        room: &'a RoomId,
        event: &'a EventId,
    ) -> Answer<'a, StateIds>;

    /// `/event`.
    fn event<'a>(
        &'a self,
        server: &'a ServerName,
        event: &'a EventId,
    ) -> Answer<'a, Option<Box<RawValue>>>;

    /// `/make_join`.
    fn make_join<'a>(
        &'a self,
        server: &'a ServerName,
        room: &'a RoomId,
        user: &'a UserId,
        versions: Vec<RoomVersionId>,
    ) -> Answer<'a, JoinTemplate>;

    /// `/send_join`.
    fn send_join<'a>(
        &'a self,
        server: &'a ServerName,
        room: &'a RoomId,
        event: &'a RawValue,
    ) -> Answer<'a, JoinAnswer>;
}
