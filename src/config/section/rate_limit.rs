//! `[rate_limits]`: how often somebody may do something. Changed by a reload.

use crate::reader::Reader;

/// A bucket that holds `burst` and fills by `per_second`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many a second in the long run.
    pub per_second: f64,
    /// How many at once.
    pub burst: u32,
}

/// The section.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimits {
    /// Whether there are limits at all.
    pub enabled: bool,
    /// Events, by user.
    pub message: Rate,
    /// Registrations, by address.
    pub registration: Rate,
    /// Log-ins, by address.
    pub login_address: Rate,
    /// Log-ins, by account.
    pub login_account: Rate,
    /// Joins, by user.
    pub join: Rate,
    /// Invites, by user who invites.
    pub invite: Rate,
    /// New rooms, by user.
    pub room_creation: Rate,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> RateLimits {
    RateLimits {
        enabled: reader.or("enabled", true),
        message: rate(reader, "message", 10.0, 100),
        registration: rate(reader, "registration", 0.17, 5),
        login_address: rate(reader, "login_address", 0.17, 10),
        login_account: rate(reader, "login_account", 0.17, 5),
        join: rate(reader, "join", 0.5, 20),
        invite: rate(reader, "invite", 0.3, 20),
        room_creation: rate(reader, "room_creation", 0.1, 10),
    }
}

fn rate(reader: &mut Reader<'_>, key: &'static str, per_second: f64, burst: u32) -> Rate {
    let mut table = reader.section(key);
    Rate {
        per_second: table.within("per_second", per_second, 0.0001..=1_000_000.0),
        burst: table.within("burst", burst, 1..=1_000_000),
    }
}
