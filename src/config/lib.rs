//! The configuration: where its files are, how they are merged, and what each key means.
//!
//! [`load`] reads all layers and gives either a whole [`Config`] or every problem that it found,
//! each with file and line. What can change while the server runs is [`Reloadable`], everything
//! else [`Fixed`]. Other crates never see these types: each has settings of its own, which the
//! daemon makes from them.

mod credential;
mod egress;
mod fragment;
mod layer;
mod nearest;
mod problem;
mod reader;
mod regular;
mod secret;
pub mod section;
mod service;
mod setting;
mod show;
mod source;
#[doc(hidden)]
pub mod testing;
mod tree;
mod unit;

#[cfg(test)]
mod effect_test;
#[cfg(test)]
mod load_test;
#[cfg(test)]
mod section_test;

use std::path::PathBuf;

pub use credential::Credentials;
pub use egress::{EgressConfig, load_egress};
pub use layer::{BROKER, BROKER_SOCKET, Environment, FRAGMENTS, MAIN_FILE};
pub use problem::{Problem, Problems};
pub use reader::{Effect, Entry};
pub use regular::open_regular;
pub use secret::Secret;
pub use setting::{BaseUrl, Lifetime};
pub use source::Source;
pub use tree::Origin;
pub use unit::Size;

use reader::{Context, Found, Reader};
use secret::SecretPlaces;
use section::{
    admin::{self, Admin},
    cache::{self, Cache},
    database::{self, Database},
    egress::Egress,
    limits::{self, Limits},
    listener::{self, Listeners},
    log::{self, Log},
    password::{self, Passwords},
    presence::{self, Presence},
    profile::{self, Profiles},
    rate_limit::{self, RateLimits},
    registration::{self, Registration},
    room::{self, Rooms},
    sandbox::{self, Sandbox},
    server::{self, Identity, Presentation},
    session::{self, Sessions},
    support::{self, Support},
    turn::{self, Turn},
    user_directory::{self, UserDirectory},
    well_known::{self, WellKnown},
};
use tree::Table;

/// The sample configuration: every key with its default, commented out, and what it means.
pub const SAMPLE: &str = include_str!("sample.toml");

/// What only a restart changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The keys at the top about who the server is.
    pub identity: Identity,
    /// `[database]`.
    pub database: Database,
    /// `[cache]`.
    pub cache: Cache,
    /// `[admin]`.
    pub admin: Admin,
    /// `[sandbox]`.
    pub sandbox: Sandbox,
    /// `log.format`.
    pub log_format: log::Format,
    /// The socket of the broker that connects for this process, when it has no network of its own;
    /// from the environment.
    pub broker: Option<PathBuf>,
}

/// What a reload changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reloadable {
    /// The keys at the top about how the server presents itself.
    pub presentation: Presentation,
    /// `[registration]`.
    pub registration: Registration,
    /// `[passwords]`.
    pub passwords: Passwords,
    /// `[sessions]`.
    pub sessions: Sessions,
    /// `[profiles]`.
    pub profiles: Profiles,
    /// `[presence]`.
    pub presence: Presence,
    /// `[user_directory]`.
    pub user_directory: UserDirectory,
    /// `[rooms]`.
    pub rooms: Rooms,
    /// `[rate_limits]`.
    pub rate_limits: RateLimits,
    /// `[well_known]`.
    pub well_known: WellKnown,
    /// `[support]`.
    pub support: Support,
    /// `[turn]`, when there is such a server.
    pub turn: Option<Turn>,
    /// `[egress]`.
    pub egress: Egress,
    /// `[limits]`.
    pub limits: Limits,
    /// `log.level`.
    pub log_level: String,
}

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Config {
    /// What only a restart changes.
    pub fixed: Fixed,
    /// What a reload changes.
    pub reloadable: Reloadable,
    /// `[[listeners]]`: the places are fixed, and what is answered there is not.
    pub listeners: Listeners,
    entries: Vec<Entry>,
    files: Vec<PathBuf>,
    encrypted: Vec<PathBuf>,
}

impl Config {
    /// Every key that there is, in the order of the sections, with its value and origin.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files that all this was read from: the layers, and those of secrets. A reload reads
    /// them again.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Those of them that are encrypted credentials, which only the service manager can read: they
    /// were taken as they are.
    pub fn encrypted(&self) -> &[PathBuf] {
        &self.encrypted
    }

    /// The configuration in force as TOML, secrets masked; with `origins`, each line says where its
    /// value comes from.
    pub fn show(&self, origins: bool) -> String {
        show::show(&self.entries, origins)
    }

    /// A problem with the value of a key, found by somebody who knows more about it than this
    /// crate. `item` says which one of an array of tables is meant.
    pub fn problem(&self, path: &str, item: Option<usize>, reason: &str) -> Problem {
        problem_of(&self.entries, path, item, reason)
    }
}

fn problem_of(entries: &[Entry], path: &str, item: Option<usize>, reason: &str) -> Problem {
    let origin = entries
        .iter()
        .find(|entry| entry.item == item && entry.path() == path)
        .and_then(|entry| entry.origin.clone());
    Problem { origin, reason: format!("`{path}` {reason}") }
}

/// Reads and checks the whole configuration.
pub fn load(source: &Source, environment: &Environment) -> Result<Config, Problems> {
    load_with(source, environment, false)
}

/// The same without the files of secrets, for whoever has no use for them and may not be able to
/// read them: what they hold is not known (see [`Secret::is_known`]).
pub fn load_without_secrets(
    source: &Source,
    environment: &Environment,
) -> Result<Config, Problems> {
    load_with(source, environment, true)
}

fn load_with(
    source: &Source,
    environment: &Environment,
    are_left: bool,
) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let mut table = Table::new();
    let files = layer::files(source, environment, &mut problems);
    for path in &files {
        tree::merge(&mut table, fragment::read(path, &mut problems));
    }
    if !problems.is_empty() {
        // A file that could not be read would make its keys look missing.
        return Err(Problems(problems));
    }
    let places = SecretPlaces {
        credentials: environment.credentials.clone(),
        configuration: environment.configuration_directory(source),
        are_left,
    };
    let mut config = read(&table, source, (environment, places))?;
    config.files.extend(files);
    let lost = egress::lost(&config.entries, source, environment);
    if lost.is_empty() { Ok(config) } else { Err(Problems(lost)) }
}

fn read(
    table: &Table,
    source: &Source,
    (environment, places): (&Environment, SecretPlaces),
) -> Result<Config, Problems> {
    let context = Context::new(places);
    let mut top = Reader::new(&context, table);
    let (identity, presentation) = server::read(&mut top, environment.state_directory.as_deref());
    let state = identity.state_directory.clone();
    let listeners = listener::read(&mut top);
    let database = database::read(&mut top.section("database"), &state);
    let registration = registration::read(&mut top.section("registration"));
    let passwords = password::read(&mut top.section("passwords"));
    let sessions = session::read(&mut top.section("sessions"));
    let profiles = profile::read(&mut top.section("profiles"));
    let presence = presence::read(&mut top.section("presence"));
    let user_directory = user_directory::read(&mut top.section("user_directory"));
    let rooms = room::read(&mut top.section("rooms"));
    let rate_limits = rate_limit::read(&mut top.section("rate_limits"));
    let well_known = well_known::read(&mut top.section("well_known"));
    let support = support::read(&mut top.section("support"));
    let turn = turn::read(&mut top.section("turn"));
    let egress = section::egress::read(&mut top.section("egress"));
    let cache = cache::read(&mut top.section("cache"));
    let Log { level, format } = log::read(&mut top.section("log"));
    let admin = admin::read(&mut top.section("admin"), source, &state);
    let limits = limits::read(&mut top.section("limits"));
    let sandbox = sandbox::read(&mut top.section("sandbox"));
    drop(top);
    let Found { entries, files, encrypted, problems } = context.finish();
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let fixed = Fixed {
        identity,
        database,
        cache,
        admin,
        sandbox,
        log_format: format,
        broker: environment.broker.clone(),
    };
    let reloadable = Reloadable {
        presentation,
        registration,
        passwords,
        sessions,
        profiles,
        presence,
        user_directory,
        rooms,
        rate_limits,
        well_known,
        support,
        turn,
        egress,
        limits,
        log_level: level,
    };
    Ok(Config { fixed, reloadable, listeners, entries, files, encrypted })
}
