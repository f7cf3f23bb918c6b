//! Events of our own: from what somebody wants to send to a signed event.
//!
//! Spec: server-server API, "Adding hashes and signatures to outgoing events".

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, ServerName};
use ruma::events::TimelineEventType;
use serde_json::value::RawValue;

use crate::{json::JsonError, pdu::{FormatError, Pdu}, rules::Rules, signing::SigningKey, verify::VerifiedPdu};

/// What somebody wants to send: an event before it has a place in the room, hashes and signatures.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its type.
    pub event_type: TimelineEventType,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content: a JSON object, in any form.
    pub content: Box<RawValue>,
    /// The event that a redaction redacts; put where the room version wants it. `None` for any other type.
    pub redacts: Option<OwnedEventId>,
}

/// Where a draft goes in its room.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The room; `None` exactly for the create event of a room whose id is computed from it (room version 12).
    pub room_id: Option<OwnedRoomId>,
    /// When it is sent, in milliseconds since the epoch.
    pub origin_server_ts: u64,
    /// One more than the greatest depth of the previous events; cut to [`crate::size::MAX_DEPTH`].
    pub depth: u64,
    /// The room's forward extremities.
    pub prev_events: Vec<Reference>,
    /// The auth events, selected with [`crate::auth::auth_keys`] from the state before the event.
    pub auth_events: Vec<Reference>,
    /// The part of the event id before the server's name, needed exactly in room versions 1 and 2:
    /// [`crate::clock::random_string`] of [`EVENT_ID_LENGTH`].
    pub event_id_localpart: Option<String>,
}

/// How many random characters an event id of room versions 1 and 2 has.
pub const EVENT_ID_LENGTH: usize = 18;

/// How one event names another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The other's id.
    pub event_id: OwnedEventId,
    /// Its reference hash, in room versions 1 and 2; later the id itself is the hash.
    pub hash: Option<String>,
}

impl From<&Pdu> for Reference {
    fn from(pdu: &Pdu) -> Self {
        todo!()
    }
}

/// Why a draft cannot become an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The content is no object, or holds what canonical JSON does not have. Even where the room version would accept
    /// it from others, we send only canonical JSON.
    #[error("the content is not acceptable: {0}")]
    Content(#[from] JsonError),
    /// It breaks the event format or a size limit.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Who signs: this server's name and its key.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// This server's name.
    pub server: &'a ServerName,
    /// This server's key.
    pub key: &'a SigningKey,
}

impl Draft {
    /// Gives the draft its place, content hash, signature and id.
    pub fn complete(
        &self,
        placement: &Placement,
        signer: Signer<'_>,
        rules: &'static Rules,
    ) -> Result<SignedPdu, DraftError> {
        todo!()
    }
}

/// An event with hashes and signatures that nobody has checked yet: our own just now, or another server's.
#[derive(Clone)]
pub struct SignedPdu(pub(crate) Pdu);

impl SignedPdu {
    /// Reads another server's event: step 1 of the checks on receipt. See [`Pdu::parse`].
    pub fn parse(json: &str, rules: &'static Rules) -> Result<SignedPdu, FormatError> {
        Pdu::parse(json, rules).map(SignedPdu)
    }

    /// Our own event needs no check of its signature and hash: [`Draft::complete`] has just made them.
    pub fn into_own(self) -> VerifiedPdu {
        VerifiedPdu::trusted(self.0)
    }

    /// The event.
    pub fn pdu(&self) -> &Pdu {
        &self.0
    }

    /// Adds this server's signature to an event of another server's: a join through a restricted rule that we
    /// authorise, an invite to one of our users.
    pub fn countersign(&self, signer: Signer<'_>) -> SignedPdu {
        todo!()
    }
}

/// The room that an event claims to be in, read without any check: for finding its room version. `None` when it has
/// none, as the create events of room version 12.
pub fn claimed_room_id(json: &str) -> Option<OwnedRoomId> {
    todo!()
}
