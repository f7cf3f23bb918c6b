//! `[sessions]`: how long tokens live. Changed by a reload, for tokens that are issued from then
//! on.

use std::time::Duration;

use crate::{reader::Reader, setting::Lifetime};

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Access tokens of clients that use refresh tokens.
    pub refreshable_access_token_lifetime: Lifetime,
    /// Access tokens of the others.
    pub access_token_lifetime: Lifetime,
    /// Refresh tokens that nobody uses.
    pub refresh_token_lifetime: Lifetime,
    /// Tokens of `/login/get_token`; zero switches that off.
    pub login_token_lifetime: Duration,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Sessions {
    let five_minutes = Duration::from_mins(5);
    Sessions {
        refreshable_access_token_lifetime: reader
            .or("refreshable_access_token_lifetime", Lifetime(Some(five_minutes))),
        access_token_lifetime: reader.or("access_token_lifetime", Lifetime(None)),
        refresh_token_lifetime: reader.or("refresh_token_lifetime", Lifetime(None)),
        login_token_lifetime: reader.within(
            "login_token_lifetime",
            Duration::ZERO,
            Duration::ZERO..=five_minutes,
        ),
    }
}
