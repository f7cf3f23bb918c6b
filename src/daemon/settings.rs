//! From the configuration to the settings of each crate. Here alone both are known.

use std::{fmt::Write, sync::Arc};

use crate::{
    listen, logging, sandbox,
    system::{connections, user_name},
};
use arc_swap::ArcSwap;
use client_api::{Contact, Support, Turn};
use config::{
    Config, Fixed, Problems, Reloadable,
    section::{
        cache::Cache,
        database::Database,
        egress::Egress,
        password::{Character, Passwords},
        rate_limit::{self, RateLimits},
        registration::Registration,
        session::Sessions,
        support,
    },
};

/// Memory of an entry in the caches of numbers, roughly.
const NUMBER_BYTES: u64 = 160;
/// Addresses that are none, denied whatever the configuration says.
const UNSPECIFIED: [&str; 2] = ["0.0.0.0/8", "::/128"];

/// Checks what only other crates can judge: addresses, certificates, levels.
pub(crate) fn check(config: &Config) -> Result<(), Problems> {
    let mut problems = listen::check(config);
    problems.extend(sandbox::check(config));
    if let Err((key, reason)) = dial(&config.reloadable.egress) {
        problems.push(config.problem(key, None, &reason));
    }
    if let Err(reason) = store::check_url(config.fixed.database.url.expose()) {
        problems.push(config.problem("database.url", None, &format!("is not usable: {reason}")));
    }
    if config.fixed.broker.is_some() && store::names_network(config.fixed.database.url.expose()) {
        let reason = format!(
            "leads over the network, {}; use PostgreSQL's unix socket, as in \
             postgresql:///matrix-homeserver?host=/run/postgresql",
            listen::WITHOUT_NETWORK
        );
        problems.push(config.problem("database.url", None, &reason));
    }
    if let Err(reason) = logging::parse_level(&config.reloadable.log_level) {
        problems.push(config.problem("log.level", None, &reason));
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// What the dialer goes by, or the key that is wrong and why.
pub(crate) fn dial(egress: &Egress) -> Result<http::DialSettings, (&'static str, String)> {
    let read = |key, texts: &[String]| {
        let ranges = texts.iter().map(|text| text.parse::<http::IpRange>());
        let ranges: Result<Vec<_>, _> = ranges.collect();
        ranges.map_err(|error| (key, format!("cannot be used: {error}")))
    };
    let mut deny = read("egress.ip_range_denylist", &egress.ip_range_denylist)?;
    // Nobody is there, but the kernel takes these for this machine.
    deny.extend(read("egress.ip_range_denylist", &UNSPECIFIED.map(str::to_owned))?);
    let allow = read("egress.ip_range_allowlist", &egress.ip_range_allowlist)?;
    Ok(http::DialSettings {
        ranges: http::IpRanges { deny, allow },
        timeout: egress.connect_timeout,
    })
}

/// The same for ranges that [`check`] has seen; were it otherwise, nothing would be connected to.
fn checked_dial(egress: &Egress) -> http::DialSettings {
    dial(egress).unwrap_or_else(|_| {
        let everything = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|text| text.parse().ok());
        let ranges = http::IpRanges { deny: everything.collect(), allow: Vec::new() };
        http::DialSettings { ranges, timeout: egress.connect_timeout }
    })
}

/// What a reload swaps, one handle for each crate.
#[derive(Clone)]
pub(crate) struct Handles {
    /// Users.
    pub(crate) user: user::SettingsHandle,
    /// Rooms.
    pub(crate) room: room::SettingsHandle,
    /// The client-server API.
    pub(crate) client: client_api::SettingsHandle,
    /// Whatever leaves the machine.
    pub(crate) dial: Arc<ArcSwap<http::DialSettings>>,
    /// What finds the addresses of names where no broker does.
    pub(crate) resolver: Arc<dyn http::Resolve>,
}

impl Handles {
    /// Handles with the settings of the start.
    pub(crate) fn new(config: &Config, resolver: Arc<dyn http::Resolve>) -> Self {
        Self {
            user: Arc::new(ArcSwap::from_pointee(user(&config.reloadable, &config.fixed.cache))),
            room: Arc::new(ArcSwap::from_pointee(room(&config.reloadable, &config.fixed.cache))),
            client: Arc::new(ArcSwap::from_pointee(client(&config.reloadable))),
            dial: Arc::new(ArcSwap::from_pointee(checked_dial(&config.reloadable.egress))),
            resolver,
        }
    }

    /// Puts the settings of a reload in force. What is taken at the start stays as `fixed` has it.
    pub(crate) fn apply(&self, reloadable: &Reloadable, fixed: &Fixed) {
        self.user.store(Arc::new(user(reloadable, &fixed.cache)));
        self.room.store(Arc::new(room(reloadable, &fixed.cache)));
        self.client.store(Arc::new(client(reloadable)));
        self.dial.store(Arc::new(checked_dial(&reloadable.egress)));
    }
}

/// The store's part: a quarter of the memory, for the log, the pages of `SQLite` and numbers.
pub(crate) fn store(fixed: &Fixed) -> store::Settings {
    let Fixed { database, cache, .. } = fixed;
    let part = cache.memory.bytes / 8;
    // One connection writes besides those that read.
    let connections = u64::try_from(database.readers + 1).unwrap_or(u64::MAX);
    store::Settings {
        url: database_url(database),
        readers: database.readers,
        queue_length: database.queue_length,
        log_bytes: usize::try_from(part).unwrap_or(usize::MAX),
        cached_numbers: part / 2 / NUMBER_BYTES,
        page_cache_kib: u32::try_from(part / 2 / connections / 1024).unwrap_or(u32::MAX),
        snapshot_age: database.read_timeout,
        patience: database.wait_timeout,
    }
}

/// The URL, with the password if it was kept out of it, and with this process's user if it names
/// none: the driver would look for it behind the sandbox.
fn database_url(database: &Database) -> String {
    let mut url = database.url.expose().to_owned();
    let mut add = |name: &str, value: &str| {
        let separator = if url.contains('?') { '&' } else { '?' };
        // Writing into a string cannot fail.
        let _ = write!(url, "{separator}{name}={}", percent_encode(value));
    };
    if let Some(password) = &database.password {
        add("password", password.expose());
    }
    if !database.url.is_embedded()
        && !database.url.names_user()
        && let Some(name) = user_name()
    {
        add("user", name);
    }
    url
}

/// Escapes whatever could mean something in a URL.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

/// The listeners' limits.
pub(crate) fn limits(reloadable: &Reloadable) -> http::Limits {
    let limits = &reloadable.limits;
    http::Limits {
        max_connections: connections(limits.connections),
        tls_handshake_timeout: limits.tls_handshake_timeout,
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        write_timeout: limits.write_timeout,
        max_header_bytes: u32::try_from(limits.header_size.bytes).unwrap_or(u32::MAX),
        max_concurrent_streams: limits.streams,
        ..http::Limits::default()
    }
}

/// Users get one part in eight of the memory.
fn user(reloadable: &Reloadable, cache: &Cache) -> user::Settings {
    user::Settings {
        registration: registration(&reloadable.registration),
        passwords: passwords(&reloadable.passwords),
        sessions: sessions(&reloadable.sessions),
        profiles: user::ProfileSettings {
            set_displayname: reloadable.profiles.set_displayname,
            set_avatar_url: reloadable.profiles.set_avatar_url,
        },
        directory: user::DirectorySettings {
            enabled: reloadable.user_directory.enabled,
            search_all_users: reloadable.user_directory.search_all_users,
        },
        presence_enabled: reloadable.presence.enabled,
        cache_bytes: cache.memory.bytes / 8,
    }
}

fn registration(registration: &Registration) -> user::RegistrationSettings {
    user::RegistrationSettings {
        enabled: registration.enabled,
        requires_token: registration.require_token,
        guests: registration.guests,
        shared_secret: registration.shared_secret.as_ref().map(|secret| secret.expose().into()),
        availability_check: registration.availability_check,
    }
}

fn passwords(passwords: &Passwords) -> user::PasswordSettings {
    let requires = |kind| passwords.require.contains(&kind);
    user::PasswordSettings {
        enabled: passwords.enabled,
        minimum_length: passwords.minimum_length,
        require_digit: requires(Character::Digit),
        require_symbol: requires(Character::Symbol),
        require_lowercase: requires(Character::Lowercase),
        require_uppercase: requires(Character::Uppercase),
        bcrypt_pepper: passwords.bcrypt_pepper.as_ref().map(|pepper| pepper.expose().into()),
    }
}

fn sessions(sessions: &Sessions) -> user::SessionSettings {
    let ms =
        |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let login_token = sessions.login_token_lifetime;
    user::SessionSettings {
        refreshable_access_token_lifetime_ms: sessions.refreshable_access_token_lifetime.0.map(ms),
        plain_access_token_lifetime_ms: sessions.access_token_lifetime.0.map(ms),
        refresh_token_lifetime_ms: sessions.refresh_token_lifetime.0.map(ms),
        login_token_lifetime_ms: (!login_token.is_zero()).then(|| ms(login_token)),
    }
}

/// Rooms get five eighths of the memory.
fn room(reloadable: &Reloadable, cache: &Cache) -> room::Settings {
    let rooms = &reloadable.rooms;
    let part = cache.memory.bytes / 8;
    room::Settings {
        default_version: rooms.default_version.0.clone(),
        federate_by_default: rooms.federate_by_default,
        rooms_bytes: 2 * part,
        events_bytes: 2 * part,
        states_bytes: part,
        publishing: rooms.publishing,
        directory_without_login: rooms.directory_without_login,
    }
}

fn client(reloadable: &Reloadable) -> client_api::Settings {
    let Reloadable { presentation, well_known, rate_limits, turn, support, limits, .. } =
        reloadable;
    let base_url = || format!("{}/", presentation.public_baseurl.as_str());
    client_api::Settings {
        public_base_url: well_known.client.then(base_url),
        delegated_server: well_known.server.as_ref().map(ToString::to_string),
        support: self::support(support),
        rate_limits: self::rate_limits(rate_limits),
        body_timeout: limits.body_timeout,
        turn: turn.as_ref().map(|turn| Turn {
            uris: turn.uris.clone(),
            shared_secret: turn.shared_secret.expose().into(),
            user_lifetime: turn.user_lifetime,
        }),
    }
}

fn support(support: &support::Support) -> Option<Support> {
    let contact = |role: &str, contact: &support::Contact| {
        let is_there = contact.email.is_some() || contact.user.is_some();
        is_there.then(|| Contact {
            role: role.to_owned(),
            matrix_id: contact.user.as_ref().map(ToString::to_string),
            email_address: contact.email.clone(),
        })
    };
    let contacts: Vec<_> =
        [contact("m.role.admin", &support.admin), contact("m.role.security", &support.security)]
            .into_iter()
            .flatten()
            .collect();
    let page = support.page.clone();
    (page.is_some() || !contacts.is_empty()).then_some(Support { contacts, page })
}

fn rate_limits(limits: &RateLimits) -> client_api::RateLimits {
    let rate = |rate: rate_limit::Rate| client_api::Rate {
        per_second: rate.per_second,
        burst: rate.burst,
    };
    client_api::RateLimits {
        enabled: limits.enabled,
        message: rate(limits.message),
        registration: rate(limits.registration),
        login_address: rate(limits.login_address),
        login_account: rate(limits.login_account),
        join: rate(limits.join),
        invite: rate(limits.invite),
        room_creation: rate(limits.room_creation),
    }
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
