//! Rate limits: a token bucket for each kind of request and whoever makes it.
//!
//! Invariant: memory is bounded. A bucket that is full again is as good as one that was never there
//! and is swept out; when all places are taken nevertheless, newcomers share one bucket, so that
//! nobody buys room by pushing others out.
//!
//! Spec: client-server API, "Rate limiting".

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use parking_lot::Mutex;
use proto::{meter::Counter, number::UserNumber};
use tokio::time::Instant;

use crate::{SettingsHandle, turns::Turns};

/// The most buckets of one kind that are kept at a time.
const BUCKETS_MAX: usize = 50_000;
/// How often a table without free places is looked through at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often somebody may do something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many a second in the long run; more than zero.
    pub per_second: f64,
    /// How many at once; at least one.
    pub burst: u32,
}

/// All limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimits {
    /// Whether there are limits at all.
    pub enabled: bool,
    /// Events, by user.
    pub message: Rate,
    /// Registrations, by address.
    pub registration: Rate,
    /// Log-ins, by address.
    pub login_address: Rate,
    /// Failed log-ins, by account.
    pub login_account: Rate,
    /// Joins, by user.
    pub join: Rate,
    /// Invites, by the user who invites.
    pub invite: Rate,
    /// New rooms, by user.
    pub room_creation: Rate,
}

impl Default for RateLimits {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            enabled: true,
            message: rate(10.0, 100),
            registration: rate(0.17, 5),
            login_address: rate(0.17, 10),
            login_account: rate(0.17, 5),
            join: rate(0.5, 20),
            invite: rate(0.3, 20),
            room_creation: rate(0.1, 10),
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Registration,
    LoginAddress,
    LoginAccount,
    Join,
    Invite,
    RoomCreation,
}

/// All of them in their order, by their names in the configuration.
const KINDS: [&str; 7] = [
    "message",
    "registration",
    "login_address",
    "login_account",
    "join",
    "invite",
    "room_creation",
];

impl Kind {
    fn rate(self, limits: &RateLimits) -> Rate {
        match self {
            Self::Message => limits.message,
            Self::Registration => limits.registration,
            Self::LoginAddress => limits.login_address,
            Self::LoginAccount => limits.login_account,
            Self::Join => limits.join,
            Self::Invite => limits.invite,
            Self::RoomCreation => limits.room_creation,
        }
    }
}

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A user who is logged in.
    User(UserNumber),
    /// An address; of IPv6 the network of 64 bits, since whoever has one address there has them
    /// all.
    Address(IpAddr),
    /// The account that somebody tries to log in to, by what was given as its name.
    Account(Box<str>),
    /// Everybody for whom there is no place any more.
    Rest,
}

impl Subject {
    /// Whoever is at an address.
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }
}

/// Counts.
pub(crate) struct Limiter {
    settings: SettingsHandle,
    tables: [Mutex<Table>; KINDS.len()],
    refused: [Counter; KINDS.len()],
    turns: Turns,
}

/// What is asked of a bucket.
#[derive(Clone, Copy)]
enum Ask {
    /// Whether there is one in it.
    Look,
    /// So many, or none.
    Take(u32),
}

/// The buckets of one kind. A bucket is the moment at which it is full again.
#[derive(Default)]
struct Table {
    full_at: HashMap<Subject, Instant>,
    swept: Option<Instant>,
}

impl Limiter {
    pub(crate) fn new(settings: SettingsHandle) -> Self {
        let tables = std::array::from_fn(|_| Mutex::default());
        Self { settings, tables, refused: Default::default(), turns: Turns::new() }
    }

    /// Takes one from the bucket; when it is empty the error is how long to wait.
    pub(crate) fn take(&self, kind: Kind, subject: Subject) -> Result<(), Duration> {
        self.take_many(kind, subject, 1)
    }

    /// Takes so many from the bucket, or none if there are fewer.
    pub(crate) fn take_many(
        &self,
        kind: Kind,
        subject: Subject,
        count: u32,
    ) -> Result<(), Duration> {
        self.ask(kind, subject, Instant::now(), Ask::Take(count))
    }

    /// The most that one can have at once; none where there are no limits.
    pub(crate) fn burst(&self, kind: Kind) -> Option<u32> {
        let settings = self.settings.load();
        let limits = &settings.rate_limits;
        limits.enabled.then(|| kind.rate(limits).burst)
    }

    /// Whether there is one in the bucket, without taking it.
    pub(crate) fn look(&self, kind: Kind, subject: Subject) -> Result<(), Duration> {
        self.ask(kind, subject, Instant::now(), Ask::Look)
    }

    fn ask(&self, kind: Kind, subject: Subject, now: Instant, ask: Ask) -> Result<(), Duration> {
        let settings = self.settings.load();
        let limits = &settings.rate_limits;
        if !limits.enabled {
            return Ok(());
        }
        let asked = self.tables[kind as usize].lock().ask(subject, kind.rate(limits), now, ask);
        asked.inspect_err(|_| self.refused[kind as usize].increment())
    }

    /// Where attempts wait for those before them.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// How often each limit has refused somebody.
    pub(crate) fn refused(&self) -> Vec<(&'static str, u64)> {
        KINDS.into_iter().zip(self.refused.iter().map(Counter::get)).collect()
    }
}

impl Table {
    /// The generic cell rate algorithm: each request moves the moment at which the bucket is full
    /// again by one interval, and may not move it further away than a whole bucket.
    fn ask(
        &mut self,
        subject: Subject,
        rate: Rate,
        now: Instant,
        ask: Ask,
    ) -> Result<(), Duration> {
        let count = match ask {
            Ask::Look => 1,
            Ask::Take(count) => count,
        };
        let interval = Duration::from_secs_f64(1.0 / rate.per_second);
        let whole = interval.saturating_mul(rate.burst);
        let subject = self.place(subject, now);
        let full_at = self.full_at.get(&subject).copied().unwrap_or(now).max(now);
        let next = full_at + interval.saturating_mul(count);
        let ahead = next.duration_since(now);
        if ahead > whole {
            return Err(ahead.saturating_sub(whole));
        }
        if matches!(ask, Ask::Take(_)) {
            self.full_at.insert(subject, next);
        }
        Ok(())
    }

    /// The subject under which somebody is counted: her own, or the one of those who find no place.
    fn place(&mut self, subject: Subject, now: Instant) -> Subject {
        if self.full_at.len() < BUCKETS_MAX || self.full_at.contains_key(&subject) {
            return subject;
        }
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP_INTERVAL) {
            self.swept = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() < BUCKETS_MAX { subject } else { Subject::Rest }
    }
}

#[cfg(test)]
#[path = "rate_test.rs"]
mod tests;
