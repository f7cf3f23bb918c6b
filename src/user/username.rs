//! User names: the grammar of localparts that people may choose, and names for those who choose
//! none.
//!
//! Spec: appendices, "User identifiers".

use proto::clock::Random;
use ruma::{OwnedUserId, ServerName, UserId};

use crate::Error;

/// The longest user ID in bytes, with sigil and server.
const MAX_USER_ID_BYTES: usize = 255;

/// Characters of generated names: nothing that looks like something else.
const GENERATED: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// How long a generated name is: 60 bits.
const GENERATED_LENGTH: usize = 12;

/// The user ID of a desired localpart. Names of digits only belong to guests, names with a leading
/// underscore to application services, as in Synapse.
pub(crate) fn check(localpart: &str, server_name: &ServerName) -> Result<OwnedUserId, Error> {
    if localpart.is_empty() {
        return Err(Error::InvalidUsername("the user name is empty"));
    }
    let allowed = |c: char| {
        c.is_ascii_lowercase()
            || c.is_ascii_digit()
            || matches!(c, '.' | '_' | '=' | '-' | '/' | '+')
    };
    if !localpart.chars().all(allowed) {
        return Err(Error::InvalidUsername(
            "a user name consists of the characters a-z, 0-9 and . _ = - / + only",
        ));
    }
    if localpart.starts_with('_') {
        return Err(Error::InvalidUsername("a user name may not begin with an underscore"));
    }
    if localpart.chars().all(|c| c.is_ascii_digit()) {
        return Err(Error::InvalidUsername("names of digits only are reserved for guests"));
    }
    build(localpart, server_name)
}

/// The user ID of a localpart that is known to be well-formed.
fn build(localpart: &str, server_name: &ServerName) -> Result<OwnedUserId, Error> {
    let user_id = format!("@{localpart}:{server_name}");
    if user_id.len() > MAX_USER_ID_BYTES {
        return Err(Error::InvalidUsername("the user name is too long"));
    }
    UserId::parse(user_id).map_err(|_| Error::InvalidUsername("the user name is not valid"))
}

/// A name for somebody who chose none.
pub(crate) fn generate(
    random: &dyn Random,
    server_name: &ServerName,
) -> Result<OwnedUserId, Error> {
    let mut bytes = [0_u8; GENERATED_LENGTH];
    random.fill(&mut bytes);
    // A leading letter, so that no generated name looks like a guest's.
    bytes[0] %= 24;
    let name: String =
        bytes.iter().map(|byte| char::from(GENERATED[usize::from(byte & 31)])).collect();
    build(&name, server_name)
}

/// A name for a guest: digits only.
pub(crate) fn generate_guest(
    random: &dyn Random,
    server_name: &ServerName,
) -> Result<OwnedUserId, Error> {
    let mut bytes = [0_u8; 8];
    random.fill(&mut bytes);
    build(&(u64::from_le_bytes(bytes) >> 1).to_string(), server_name)
}

/// The user ID that somebody logs in as: a localpart or a full ID, in the case it was registered
/// in.
pub(crate) fn parse_login(user: &str, server_name: &ServerName) -> Option<OwnedUserId> {
    if user.starts_with('@') {
        UserId::parse(user).ok()
    } else {
        UserId::parse_with_server_name(user, server_name).ok()
    }
}

#[cfg(test)]
#[path = "username_test.rs"]
mod username_test;
