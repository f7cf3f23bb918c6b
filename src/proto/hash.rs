//! Content hash and reference hash.
//!
//! Spec: server-server API, "Calculating the content hash for an event", "Calculating the reference hash for an event".

use crate::pdu::Pdu;

/// The reference hash in unpadded Base64 (of the room version's alphabet): what room versions 1 and 2 put beside an id, and the
/// id itself later.
pub fn reference_hash(pdu: &Pdu) -> String {
    todo!()
}

/// Whether the event's content is what its `hashes` say.
pub fn content_hash_matches(pdu: &Pdu) -> bool {
    todo!()
}
