//! Events of other servers: what is checked before anything about the room is looked at.
//!
//! Spec: server-server API, "Checks performed on receipt of a PDU".

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proto::{
    draft::SignedPdu,
    pdu::Pdu,
    rules::Rules,
    signing::VerifyKey,
    verify::{VerifyKeys, key_ids, required_servers, verify},
};
use ruma::{OwnedEventId, OwnedServerName, RoomId, ServerName};
use serde_json::value::RawValue;

use crate::{Outcome, RoomError, Rooms, acl, peers::Peers};

/// How many events are parsed or verified without letting others run. A state that a server tells
/// may have tens of thousands, at some 50 µs each.
const CHECKED_AT_ONCE: usize = 20;

/// What became of a received event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub event_id: OwnedEventId,
    /// What became of it.
    pub outcome: Outcome,
}

impl Rooms {
    /// Takes an event from another server. An error says that it is dropped; rejected and
    /// soft-failed are outcomes.
    pub async fn receive(
        &self,
        origin: &ServerName,
        room_id: &RoomId,
        pdu: &RawValue,
    ) -> Result<Received, RoomError> {
        let room = self.find(room_id).await?.ok_or(RoomError::RoomNotFound)?;
        if !acl::allows(&room.view(), origin) {
            return Err(dropped(None, "the room does not let this server take part"));
        }
        let signed = parse(pdu, room_id, room.rules())?;
        let event_id = signed.pdu().event_id().to_owned();
        if let Some(known) = self.inner.find_known_in(room.number(), &event_id).await?
            && known.has_state
        {
            return Ok(Received { event_id, outcome: known.outcome });
        }
        let verified = self.verify_all(vec![signed]).await?.pop();
        let (pdu, _) = verified.ok_or_else(|| dropped(None, "its signatures are not right"))?;
        self.take_in(origin, &room, pdu).await
    }

    /// Checks signatures and hashes of events. Those whose signatures are wrong are left out.
    ///
    /// The second half says whether the content was not what was hashed, so that the event is kept
    /// redacted.
    pub(crate) async fn verify_all(
        &self,
        signed: Vec<SignedPdu>,
    ) -> Result<Vec<(Arc<Pdu>, bool)>, RoomError> {
        let peers = self.peers()?;
        let mut wanted: BTreeMap<OwnedServerName, BTreeSet<String>> = BTreeMap::new();
        for (place, event) in signed.iter().enumerate() {
            breathe(place).await;
            let Ok(servers) = required_servers(event.pdu()) else { continue };
            for server in servers.into_iter().filter(|server| *server != self.server_name()) {
                let ids = key_ids(event.pdu(), &server);
                wanted.entry(server).or_default().extend(ids);
            }
        }
        let wanted = wanted.into_iter().map(|(server, ids)| (server, ids.into_iter().collect()));
        let others = peers.keys(wanted.collect()).await;
        let others = others.map_err(|error| RoomError::Peer(error.0))?;
        let keys = Keys { rooms: self, others };
        let mut verified = Vec::with_capacity(signed.len());
        for (place, event) in signed.into_iter().enumerate() {
            breathe(place).await;
            let event_id = event.pdu().event_id().to_owned();
            // 2. Passes signature checks, otherwise it is dropped.
            // 3. Passes hash checks, otherwise it is redacted before being processed further.
            match verify(event, &keys) {
                Ok(event) => {
                    let redacted = event.was_redacted();
                    verified.push((event.into_pdu(), redacted));
                }
                Err(error) => tracing::info!(%event_id, %error, "a received event is dropped"),
            }
        }
        Ok(verified)
    }

    pub(crate) fn peers(&self) -> Result<&dyn Peers, RoomError> {
        let peers = self.inner.setup.peers.as_deref();
        peers.ok_or_else(|| RoomError::Peer("there is no federation".to_owned()))
    }
}

/// Lets others run from time to time while many events are looked at; `place` counts them.
pub(crate) async fn breathe(place: usize) {
    if place % CHECKED_AT_ONCE == CHECKED_AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

/// Reads an event: 1. Is a valid event, otherwise it is dropped.
pub(crate) fn parse(
    pdu: &RawValue,
    room_id: &RoomId,
    rules: &'static Rules,
) -> Result<SignedPdu, RoomError> {
    let signed =
        SignedPdu::parse(pdu.get(), rules).map_err(|error| dropped(None, &error.to_string()))?;
    if signed.pdu().room_id() != room_id {
        let event_id = signed.pdu().event_id().to_owned();
        return Err(dropped(Some(event_id), "it is of another room"));
    }
    Ok(signed)
}

pub(crate) fn dropped(event: Option<OwnedEventId>, reason: &str) -> RoomError {
    RoomError::Dropped { event, reason: reason.to_owned() }
}

/// The keys of everybody: our own, and those that the other servers were asked for.
struct Keys<'r> {
    rooms: &'r Rooms,
    others: Box<dyn VerifyKeys + Send + Sync>,
}

impl VerifyKeys for Keys<'_> {
    fn find(
        &self,
        server: &ServerName,
        key_id: &str,
        valid_at_ms: Option<i64>,
    ) -> Option<VerifyKey> {
        let own = &self.rooms.inner.setup.signing_key;
        if server == self.rooms.server_name() && own.key_id() == key_id {
            return VerifyKey::parse(&own.public_key());
        }
        self.others.find(server, key_id, valid_at_ms)
    }
}
