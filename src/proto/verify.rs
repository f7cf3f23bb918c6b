//! Signatures and content hash of a received event: steps 2 and 3 of the checks on receipt.
//!
//! Spec: server-server API, "Validating hashes and signatures on received events"; room version 5,
//! "Signing key validity period"; room version 8, "Authorisation rules" (the server that authorises
//! a restricted join signs, too).

use std::sync::Arc;

use ruma::{OwnedServerName, ServerName, UserId};

use crate::{
    draft::SignedPdu,
    hash::{content_hash_matches, text_to_sign},
    json::{Object, bytes_to_hash, parse_object},
    pdu::Pdu,
    signing::VerifyKey,
    visibility::Membership,
};

/// Where the keys of other servers come from. They must be there already; [`required_servers`] and
/// [`key_ids`] say which are needed.
pub trait VerifyKeys {
    /// The key of this server with this identifier (`ed25519:…`). With `valid_at_ms`, only if it
    /// was valid then: room versions 5 and later want that for the event's time.
    fn find(
        &self,
        server: &ServerName,
        key_id: &str,
        valid_at_ms: Option<i64>,
    ) -> Option<VerifyKey>;
}

/// Why an event is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// An identifier that tells whose signature is needed does not parse.
    #[error("cannot tell whose signature is needed: invalid {0}")]
    Identifier(&'static str),
    /// A server that must have signed has no valid signature on the event, by any key that we have.
    #[error("no valid signature of {0}")]
    NoSignature(OwnedServerName),
}

/// An event whose signatures are right and whose content is what was hashed, or is redacted.
#[derive(Clone, Debug)]
pub struct VerifiedPdu {
    pdu: Arc<Pdu>,
    redacted: bool,
}

impl VerifiedPdu {
    pub(crate) fn trusted(pdu: Pdu) -> VerifiedPdu {
        VerifiedPdu { pdu: Arc::new(pdu), redacted: false }
    }

    /// The event.
    pub fn pdu(&self) -> &Arc<Pdu> {
        &self.pdu
    }

    /// Whether the content hash was wrong, so that this is the redacted form.
    pub fn was_redacted(&self) -> bool {
        self.redacted
    }

    /// The event, for one that is stored without having passed authorization: an outlier, a
    /// rejected event.
    pub fn into_pdu(self) -> Arc<Pdu> {
        self.pdu
    }
}

impl SignedPdu {
    /// Our own event needs no check of its signature and hash:
    /// [`complete`](crate::draft::Draft::complete) has just made them.
    pub fn into_own(self) -> VerifiedPdu {
        VerifiedPdu::trusted(self.0)
    }
}

/// The servers that must have signed the event: the sender's (unless an identity server's signature
/// is what the authorization rules go by), in room versions 1 and 2 the one in the event's id, and
/// from version 8 on the one that authorised a restricted join.
pub fn required_servers(pdu: &Pdu) -> Result<Vec<OwnedServerName>, VerifyError> {
    let mut servers = Vec::with_capacity(2);
    let mut add = |server: &ServerName| {
        if !servers.iter().any(|known: &OwnedServerName| known == server) {
            servers.push(server.to_owned());
        }
    };
    let content = parse_object(pdu.content(), pdu.rules().json).unwrap_or_default();
    let is_member = pdu.type_str() == "m.room.member";
    if !is_vouched_for_by_third_party(pdu, &content) {
        add(pdu.sender().server_name());
    }
    let signatures = &pdu.rules().signatures;
    if signatures.check_event_id_server {
        add(pdu.event_id().server_name().ok_or(VerifyError::Identifier("event_id"))?);
    }
    if signatures.check_join_authorised_via_users_server
        && is_member
        && let Some(user) = content.get("join_authorised_via_users_server")
    {
        let user = user.as_str().and_then(|user| UserId::parse(user).ok());
        add(user.ok_or(VerifyError::Identifier("join_authorised_via_users_server"))?.server_name());
    }
    Ok(servers)
}

/// Whether the event is an invite that the authorization rules will check by an identity server's
/// signature. They must find it: what is `third_party_invite` in name only, or goes away because a
/// wrong content hash redacts the event, would leave an ordinary invite that nobody has signed.
fn is_vouched_for_by_third_party(pdu: &Pdu, content: &Object<'_>) -> bool {
    let names_one = pdu.membership() == Some(Membership::Invite)
        && content.get("third_party_invite").is_some_and(|invite| invite.as_object().is_some());
    let rules = pdu.rules();
    names_one
        && (rules.redaction.keep_room_member_third_party_invite_signed
            || parse_object(pdu.json(), rules.json)
                .is_ok_and(|event| content_hash_matches(&event, rules)))
}

/// The identifiers of the keys by which this server says that it signed the event.
pub fn key_ids(pdu: &Pdu, server: &ServerName) -> Vec<String> {
    let Ok(event) = parse_object(pdu.json(), pdu.rules().json) else { return Vec::new() };
    signatures_of(&event, server).into_iter().map(|(key_id, _)| key_id).collect()
}

/// Checks every required signature and the content hash; on a wrong hash the result is the redacted
/// event.
pub fn verify(signed: SignedPdu, keys: &impl VerifyKeys) -> Result<VerifiedPdu, VerifyError> {
    let pdu = signed.0;
    let rules = pdu.rules();
    let event = parse_object(pdu.json(), rules.json).unwrap_or_default();
    let text = text_to_sign(&event, rules);
    let message = bytes_to_hash(&text, rules.json);
    let valid_at_ms = rules.enforce_key_validity.then(|| pdu.origin_server_ts());
    for server in required_servers(&pdu)? {
        let is_signed = signatures_of(&event, &server).into_iter().any(|(key_id, signature)| {
            keys.find(&server, &key_id, valid_at_ms)
                .is_some_and(|key| key.verifies(&message, &signature))
        });
        if !is_signed {
            return Err(VerifyError::NoSignature(server));
        }
    }
    let redacted = !content_hash_matches(&event, rules);
    let pdu = if redacted { pdu.redacted() } else { pdu };
    Ok(VerifiedPdu { pdu: Arc::new(pdu), redacted })
}

/// The (key id, signature) pairs of a server, of the algorithm that we know.
fn signatures_of(event: &Object<'_>, server: &ServerName) -> Vec<(String, String)> {
    let signatures = event.get("signatures").and_then(|signatures| signatures.as_object());
    let of_server = signatures.and_then(|signatures| signatures.get(server.as_str())?.as_object());
    let Some(of_server) = of_server else { return Vec::new() };
    of_server
        .iter()
        .map(|(key_id, signature)| (key_id.value().into_owned(), signature.as_str()))
        .filter(|(key_id, _)| key_id.starts_with("ed25519:"))
        .filter_map(|(key_id, signature)| Some((key_id, signature?.into_owned())))
        .collect()
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
