//! Reading the configuration again while the server runs.
//!
//! Invariant: the new configuration is checked as a whole before anything of it is in force; a
//! wrong one changes nothing.

use std::sync::Arc;

use config::{Config, Effect, Entry, Environment, Source};

use crate::{
    failure::Failure, listen::Reading, logging::LevelHandle, metrics::Reloads, notify, settings,
    settings::Handles,
};

/// What a reload reaches.
pub(crate) struct Reloader {
    /// Where the configuration comes from.
    pub(crate) source: Source,
    /// What the process finds around it.
    pub(crate) environment: Environment,
    /// The configuration in force.
    pub(crate) current: Config,
    /// The settings of the crates.
    pub(crate) handles: Handles,
    /// The level of the log.
    pub(crate) level: LevelHandle,
    /// The certificates of the listeners.
    pub(crate) certificates: Vec<Reading>,
    /// How reloads went.
    pub(crate) reloads: Arc<Reloads>,
}

impl Reloader {
    /// Reads and applies, or says in the log why not.
    pub(crate) fn reload(&mut self) {
        notify::reloading();
        let outcome = self.try_reload();
        self.reloads.note(outcome.is_ok());
        match outcome {
            Ok(()) => notify::ready("the configuration was read again"),
            Err(failure) => {
                for line in failure.message.lines() {
                    tracing::error!("the new configuration is not used: {line}");
                }
                notify::ready("the new configuration is wrong; the old one is in force");
            }
        }
    }

    fn try_reload(&mut self) -> Result<(), Failure> {
        let new = config::load(&self.source, &self.environment)?;
        settings::check(&new)?;
        let read = self.certificates.iter().map(Reading::read).collect::<Result<Vec<_>, _>>();
        let certificates = read.map_err(Failure::new)?;
        self.level.set(&new.reloadable.log_level).map_err(Failure::new)?;
        for (reading, certificate) in self.certificates.iter().zip(certificates) {
            reading.replace(certificate);
        }
        self.handles.apply(&new.reloadable, &self.current.fixed);
        for change in changes(&self.current, &new) {
            tracing::info!("{change}");
        }
        let fixed = std::mem::replace(&mut self.current, new).fixed;
        self.current.fixed = fixed;
        Ok(())
    }
}

/// What differs, key by key, in words for the log.
fn changes(old: &Config, new: &Config) -> Vec<String> {
    let gone = old
        .entries()
        .iter()
        .filter(|entry| !new.entries().iter().any(|other| same_key(entry, other)));
    let effect = |entry: &Entry| {
        if entry.effect == Effect::Restart { "needs a restart" } else { "is in force" }
    };
    let told = |entry: &Entry, value| format!("{} = {value} {}", entry.path(), effect(entry));
    let there = new.entries().iter().filter_map(|entry| {
        let before = old.entries().iter().find(|other| same_key(entry, other));
        match before {
            Some(before) if before.has_value_of(entry) => None,
            Some(before) if before.value == entry.value => {
                Some(format!("{}: a new secret {}", entry.path(), effect(entry)))
            }
            _ => Some(told(entry, entry.value.as_deref().unwrap_or("not set"))),
        }
    });
    there.chain(gone.map(|entry| told(entry, "gone"))).collect()
}

fn same_key(left: &Entry, right: &Entry) -> bool {
    (&left.table, left.item, left.key) == (&right.table, right.item, right.key)
}
