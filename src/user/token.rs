//! Tokens: opaque random text of which only the hash is kept.

use proto::clock::{Random, random_string};
use ring::digest::{SHA256, digest};
use ruma::OwnedDeviceId;
use store::user::token::TokenHash;

/// 186 random bits, more than a guess or a collision can reach.
const TOKEN_LENGTH: usize = 31;

/// Characters of a generated device ID, as other servers make them.
const DEVICE_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A fresh access token. The prefix lets tools that look for leaked secrets recognise it.
pub(crate) fn access_token(random: &dyn Random) -> String {
    format!("mha_{}", random_string(random, TOKEN_LENGTH))
}

/// A fresh refresh token.
pub(crate) fn refresh_token(random: &dyn Random) -> String {
    format!("mhr_{}", random_string(random, TOKEN_LENGTH))
}

/// A fresh login token.
pub(crate) fn login_token(random: &dyn Random) -> String {
    format!("mhl_{}", random_string(random, TOKEN_LENGTH))
}

/// A fresh device ID of ten characters.
pub(crate) fn device_id(random: &dyn Random) -> OwnedDeviceId {
    let mut bytes = [0_u8; 10];
    random.fill(&mut bytes);
    let id: String =
        bytes.iter().map(|byte| char::from(DEVICE_ALPHABET[usize::from(byte & 31)])).collect();
    id.into()
}

/// SHA-256 of a token. Tokens are random, so that a hash without salt is as good as one with.
pub(crate) fn hash(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
