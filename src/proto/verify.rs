//! Signatures and content hash of a received event: steps 2 and 3 of the checks on receipt.
//!
//! Spec: server-server API, "Validating hashes and signatures on received events".

use std::sync::Arc;

use ruma::{OwnedServerName, ServerName};

use crate::{auth::AuthorizedPdu, draft::SignedPdu, pdu::Pdu, signing::VerifyKey};

/// Where the keys of other servers come from: they must be there already; [`required_servers`] and [`key_ids`] say which.
pub trait VerifyKeys {
    /// The key of this server with this identifier (`ed25519:…`). With `valid_at_ms`, only if it was valid then: room
    /// versions 5 and later want that for the event's time.
    fn find(&self, server: &ServerName, key_id: &str, valid_at_ms: Option<i64>) -> Option<VerifyKey>;
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
#[derive(Clone)]
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

    /// The event, for one that is stored without having passed authorization: an outlier, a rejected event.
    pub fn into_pdu(self) -> Arc<Pdu> {
        self.pdu
    }
}

/// The servers that must have signed the event: the sender's (unless it is an invite by third-party id), in room
/// versions 1 and 2 the one in the event's id, and from version 8 on the one that authorised a restricted join.
pub fn required_servers(pdu: &Pdu) -> Result<Vec<OwnedServerName>, VerifyError> {
    todo!()
}

/// The identifiers of the keys by which this server says that it signed the event.
pub fn key_ids(pdu: &Pdu, server: &ServerName) -> Vec<String> {
    todo!()
}

/// Checks every required signature and the content hash; on a wrong hash the result is the redacted event.
pub fn verify(signed: SignedPdu, keys: &impl VerifyKeys) -> Result<VerifiedPdu, VerifyError> {
    todo!()
}
