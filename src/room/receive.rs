//! Events of other servers.
//!
//! Spec: server-server API, "Checks performed on receipt of a PDU".

use std::{future::Future, pin::Pin};

use proto::verify::VerifyKeys;
use ruma::{EventId, OwnedEventId, OwnedServerName, RoomId, ServerName};
use serde_json::value::RawValue;

use crate::{Outcome, RoomError, Rooms};

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

/// What rooms ask of other servers. The federation answers; in tests, other rooms.
pub trait Peers: Send + Sync + 'static {
    /// The keys that these servers sign with, for these key identifiers, where they can be had.
    fn keys<'a>(
        &'a self,
        wanted: Vec<(OwnedServerName, Vec<String>)>,
    ) -> Answer<'a, Box<dyn VerifyKeys + Send + Sync>>;

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
}

/// What became of a received event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub event_id: OwnedEventId,
    /// What became of it.
    pub outcome: Outcome,
}

impl Rooms {
    /// Takes an event from another server.
    pub async fn receive(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        pdu: &RawValue,
    ) -> Result<Received, RoomError> {
        let _ = (origin, room_id, pdu);
        todo!()
    }
}
