//! Content hash and reference hash of an event.
//!
//! Spec: server-server API, "Calculating the content hash for an event", "Calculating the reference
//! hash for an event".

use base64::Engine;
use ring::digest::{Context, SHA256};
use ruma::room_version_rules::EventIdFormatVersion;

use crate::{
    json::{Object, bytes_to_hash},
    redacted::write_redacted,
    rules::Rules,
    signing::{BASE64, BASE64_URL},
};

/// The reference hash in unpadded Base64: what room versions 1 and 2 put beside an event's id, and
/// what the id is made of in later ones (from version 4 with the URL-safe alphabet).
pub(crate) fn reference_hash(object: &Object<'_>, rules: &Rules) -> String {
    let text = text_to_sign(object, rules);
    encode_reference_hash(&bytes_to_hash(&text, rules.json), rules)
}

/// Whether the event's content is what its `hashes` say.
pub(crate) fn content_hash_matches(object: &Object<'_>, rules: &Rules) -> bool {
    let claimed = object.get("hashes").and_then(|hashes| hashes.as_object()?.get("sha256"));
    // Compared as bytes, so that padding does not matter.
    let claimed = claimed.and_then(|hash| BASE64.decode(&*hash.as_str()?).ok());
    let mut text = String::with_capacity(1024);
    let is_hashed = |key: &str| !matches!(key, "hashes" | "signatures" | "unsigned");
    object.write_members(&mut text, is_hashed, |_, value, out| value.write(out));
    claimed.is_some_and(|claimed| *claimed == sha256(&[&bytes_to_hash(&text, rules.json)]))
}

/// What an event's signatures and its reference hash go over: it is redacted and without
/// signatures.
pub(crate) fn text_to_sign(object: &Object<'_>, rules: &Rules) -> String {
    let mut text = String::with_capacity(512);
    write_redacted(object, rules, false, &mut text);
    text
}

/// The reference hash of the bytes that [`text_to_sign`] stands for.
pub(crate) fn encode_reference_hash(bytes: &[u8], rules: &Rules) -> String {
    let hash = sha256(&[bytes]);
    match rules.event_id_format {
        EventIdFormatVersion::V1 | EventIdFormatVersion::V2 => BASE64.encode(hash),
        _ => BASE64_URL.encode(hash),
    }
}

/// SHA-256 over the parts one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
