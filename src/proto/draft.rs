//! Events of our own: from what somebody wants to send to a signed event.
//!
//! The event is put together from pieces in canonical order, so that the content is the only thing
//! that is parsed, and the redacted canonical bytes are made once for the signature and for the
//! reference hash.
//!
//! Spec: server-server API, "Adding hashes and signatures to outgoing events".

use std::fmt::Write as _;

use base64::Engine;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, ServerName};
use serde_json::value::RawValue;

use crate::{
    hash::{encode_reference_hash, sha256, text_to_sign},
    json::{Form, JsonError, Object, Text, Value, bytes_to_hash, parse_object, write_string},
    pdu::{FormatError, Pdu},
    redacted::write_redacted_content,
    rules::Rules,
    signing::{BASE64, SigningKey, add_signature},
    size::{MAX_DEPTH, MAX_EVENT_BYTES},
};

/// What somebody wants to send: an event before it has a place in the room, hashes and signatures.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its type, as it is to be written.
    pub event_type: String,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content: a JSON object, in any form.
    pub content: Box<RawValue>,
    /// The event that a redaction redacts; put where the room version wants it. `None` for any
    /// other type.
    pub redacts: Option<OwnedEventId>,
}

/// Where a draft goes in its room.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The room; `None` exactly for the create event of a room whose id is computed from it (room
    /// version 12).
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
        let hash = pdu.rules().references_carry_hashes().then(|| pdu.reference_hash());
        Reference { event_id: pdu.event_id().to_owned(), hash }
    }
}

/// Why a draft cannot become an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The content is no object, or holds what canonical JSON does not have. Even where the room
    /// version would accept it from others, we send only canonical JSON.
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
        let mut content = parse_object(self.content.get(), Form::Strict)?;
        let redacts = self.redacts.as_ref().map(|event_id| event_id.as_str());
        if let Some(redacts) = redacts.filter(|_| rules.redacts_in_content()) {
            content.insert("redacts", Value::String(Text::of(redacts)));
        }
        let pieces = Pieces::of(self, placement, signer.server, rules)?;
        let mut full = String::with_capacity(self.content.get().len());
        content.write(&mut full);
        let mut redacted = String::new();
        write_redacted_content(&content, &self.event_type, &rules.redaction, &mut redacted);

        let top_level = redacts.filter(|_| !rules.redacts_in_content());
        let redacts = top_level.map_or(String::new(), |id| format!(",\"redacts\":\"{id}\""));
        let hash = BASE64.encode(sha256(&pieces.join(&full, "", &redacts, "").map(str::as_bytes)));
        let hashes = format!(",\"hashes\":{{\"sha256\":\"{hash}\"}}");
        let to_sign = pieces.join(&redacted, &hashes, "", "").concat();
        let signature = signer.key.sign(to_sign.as_bytes());
        let signatures = format!(
            ",\"signatures\":{{\"{}\":{{\"{}\":\"{signature}\"}}}}",
            signer.server,
            signer.key.key_id()
        );
        let json = pieces.join(&full, &hashes, &redacts, &signatures).concat();
        if json.len() > MAX_EVENT_BYTES {
            return Err(FormatError::TooLarge.into());
        }
        let event_id = match &pieces.event_id {
            Some(event_id) => event_id.clone(),
            None => format!("${}", encode_reference_hash(to_sign.as_bytes(), rules)),
        };
        let event_id = EventId::parse(event_id).map_err(|_| FormatError::Invalid("event_id"))?;
        // Our own events pass the very checks of others'.
        let content = pieces.until_content.len()..pieces.until_content.len() + full.len();
        Ok(SignedPdu(Pdu::of_canonical(json, content, event_id, rules)?))
    }
}

/// The parts of an event between those that differ between its hashed, signed and final texts.
struct Pieces {
    event_id: Option<String>,
    until_content: String,
    until_hashes: String,
    until_redacts: String,
    until_signatures: String,
    end: String,
}

impl Pieces {
    fn of(
        draft: &Draft,
        placement: &Placement,
        server: &ServerName,
        rules: &Rules,
    ) -> Result<Pieces, FormatError> {
        let mut event_id = None;
        let mut until_hashes = format!(",\"depth\":{}", placement.depth.min(MAX_DEPTH));
        if rules.has_event_id_field() {
            let localpart = placement.event_id_localpart.as_deref();
            let id = format!("${}:{server}", localpart.ok_or(FormatError::Missing("event_id"))?);
            until_hashes.push_str(",\"event_id\":");
            write_string(&id, &mut until_hashes);
            event_id = Some(id);
        }
        let until_content =
            format!("{{\"auth_events\":{},\"content\":", references(&placement.auth_events, rules));
        let until_redacts = format!(
            ",\"origin_server_ts\":{},\"prev_events\":{}",
            placement.origin_server_ts.min(MAX_DEPTH),
            references(&placement.prev_events, rules)
        );
        let mut until_signatures = String::with_capacity(128);
        if let Some(room_id) = &placement.room_id {
            until_signatures.push_str(",\"room_id\":");
            write_string(room_id.as_str(), &mut until_signatures);
        }
        until_signatures.push_str(",\"sender\":");
        write_string(draft.sender.as_str(), &mut until_signatures);
        let mut end = String::with_capacity(64);
        if let Some(state_key) = &draft.state_key {
            end.push_str(",\"state_key\":");
            write_string(state_key, &mut end);
        }
        end.push_str(",\"type\":");
        write_string(&draft.event_type, &mut end);
        end.push('}');
        Ok(Pieces { event_id, until_content, until_hashes, until_redacts, until_signatures, end })
    }

    /// The event's text in canonical order, with or without its hashes, top-level `redacts` and
    /// signatures.
    fn join<'a>(
        &'a self,
        content: &'a str,
        hashes: &'a str,
        redacts: &'a str,
        signatures: &'a str,
    ) -> [&'a str; 9] {
        [
            &self.until_content,
            content,
            &self.until_hashes,
            hashes,
            &self.until_redacts,
            redacts,
            &self.until_signatures,
            signatures,
            &self.end,
        ]
    }
}

fn references(references: &[Reference], rules: &Rules) -> String {
    let mut out = String::with_capacity(2 + references.len() * 48);
    out.push('[');
    for (index, reference) in references.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let with_hash = rules.references_carry_hashes();
        if with_hash {
            out.push('[');
        }
        write_string(reference.event_id.as_str(), &mut out);
        if with_hash {
            let hash = reference.hash.as_deref().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = write!(out, ",{{\"sha256\":\"{hash}\"}}]");
        }
    }
    out.push(']');
    out
}

/// An event with hashes and signatures that nobody has checked yet: our own just now, or another
/// server's.
#[derive(Clone, Debug)]
pub struct SignedPdu(pub(crate) Pdu);

impl SignedPdu {
    /// Reads another server's event: step 1 of the checks on receipt. See [`Pdu::parse`].
    pub fn parse(json: &str, rules: &'static Rules) -> Result<SignedPdu, FormatError> {
        Pdu::parse(json, rules).map(SignedPdu)
    }

    /// The event.
    pub fn pdu(&self) -> &Pdu {
        &self.0
    }

    /// Adds this server's signature to an event of another server's: a join through a restricted
    /// rule that we authorise, an invite to one of our users. An event that would grow beyond the
    /// limit by it is refused.
    pub fn countersign(&self, signer: Signer<'_>) -> Result<SignedPdu, FormatError> {
        let pdu = &self.0;
        let rules = pdu.rules();
        let mut object = parse_object(pdu.json(), rules.json)?;
        let message = text_to_sign(&object, rules);
        let signature = signer.key.sign(&bytes_to_hash(&message, rules.json));
        add_signature(&mut object, signer.server, &signer.key.key_id(), &signature);
        let both = Pdu::of(&object, rules, Some(pdu.event_id().to_owned()))?;
        if both.json().len() > MAX_EVENT_BYTES {
            return Err(FormatError::TooLarge);
        }
        Ok(SignedPdu(both))
    }
}

/// The room that an event claims to be in, read without any check: for finding its room version.
/// `None` when it has none, as the create events of room version 12.
pub fn claimed_room_id(json: &str) -> Option<OwnedRoomId> {
    // The lenient form, since the room version is not known yet.
    let object: Object<'_> = parse_object(json, Form::Lenient).ok()?;
    RoomId::parse(object.get("room_id")?.as_str()?).ok()
}

#[cfg(test)]
#[path = "draft_test.rs"]
mod tests;
