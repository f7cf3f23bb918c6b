//! `[registration]`: who may make an account. Changed by a reload.

use crate::{reader::Reader, secret::Secret};

/// The section.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file, alone")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whether people may register by themselves.
    pub enabled: bool,
    /// Whether they need a registration token.
    pub require_token: bool,
    /// Whether guests get accounts.
    pub guests: bool,
    /// Whether anybody may ask if a user name is free.
    pub availability_check: bool,
    /// The secret of `register-user`; none switches that off.
    pub shared_secret: Option<Secret>,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Registration {
    let enabled = reader.or("enabled", false);
    let require_token = reader.or("require_token", false);
    // Open registration is what abuse comes through, so it takes a second key, as in Synapse.
    let without_verification = reader.or("without_verification", false);
    if enabled && !require_token && !without_verification {
        reader.refuse(
            "enabled",
            "would let anybody register; set `registration.require_token` or, \
             if that is meant, `registration.without_verification`",
        );
    }
    Registration {
        enabled,
        require_token,
        guests: reader.or("guests", false),
        availability_check: reader.or("availability_check", true),
        shared_secret: reader.secret("shared_secret", "shared_secret_file"),
    }
}
