//! Reading the configuration again while the server runs.
//!
//! Invariant: the new configuration is checked as a whole before anything of it is in force; a
//! wrong one changes nothing. Of each setting that differs is said whether it is in force or waits
//! for a restart, and what is said is what was done: `in_force` holds the value that the server
//! goes by.

use std::sync::Arc;

use axum::Router;
use client_api::Listening;
use config::{Config, Effect, Entry, Environment, Source, section::listener::Listener};
use http::{Certificate, Replaceable, Server, Tls};
use tokio::sync::oneshot;

use crate::{
    admin::protocol::ReloadVerdict,
    certificates,
    failure::Failure,
    listen::{self, Reading},
    logging::LevelHandle,
    message,
    metrics::Reloads,
    notify, settings,
    settings::Handles,
    status::{LastReload, Status},
};

/// The key whose file is no secret, but is compared as one.
const CERTIFICATE: &str = "certificate";

/// What the listeners answer, and how that is changed.
pub(crate) struct Doors {
    /// What to answer, for a listener that answers this.
    pub(crate) make: Box<dyn Fn(Listening) -> Router + Send + Sync>,
    /// By the listener's number in the configuration of the start.
    pub(crate) open: Vec<(usize, Replaceable<Router>)>,
    /// The certificates of the listeners.
    pub(crate) certificates: Vec<Reading>,
}

/// Somebody who has asked for a reload and waits to be told what came of it.
pub(crate) type Asker = oneshot::Sender<ReloadVerdict>;

/// What a reload reaches.
pub(crate) struct Reloader {
    /// Where the configuration comes from.
    pub(crate) source: Source,
    /// What the process finds around it.
    pub(crate) environment: Environment,
    /// The newest configuration: all of it is in force but what takes a restart.
    pub(crate) current: Config,
    /// Every setting as the server goes by it.
    pub(crate) in_force: Vec<Entry>,
    /// The settings of the crates.
    pub(crate) handles: Handles,
    /// The level of the log.
    pub(crate) level: LevelHandle,
    /// The listeners.
    pub(crate) doors: Doors,
    /// How reloads went.
    pub(crate) reloads: Arc<Reloads>,
    /// What the service manager shows.
    pub(crate) status: Status,
    /// Settings that wait for a restart.
    pub(crate) waiting: Vec<String>,
    /// What came of the last reload.
    pub(crate) verdict: ReloadVerdict,
}

impl Reloader {
    /// Reads and applies, or says in the log why not.
    pub(crate) fn reload(&mut self, server: &Server) {
        notify::reloading();
        let outcome = self.try_reload(server);
        self.reloads.note(outcome.is_ok());
        match outcome {
            Ok(changes) => {
                self.waiting = changes.waiting.iter().map(|change| change.path.clone()).collect();
                self.status.note_reload(LastReload::Applied, self.waiting.clone());
                changes.tell();
                self.verdict = changes.into();
            }
            Err(refusal) => {
                refusal.tell();
                let refused: Vec<String> = refusal.0.into_iter().map(|(_, line)| line).collect();
                let first = refused.first().cloned().unwrap_or_default();
                self.status.note_reload(LastReload::Refused(first), self.waiting.clone());
                self.verdict = ReloadVerdict { refused, ..ReloadVerdict::default() };
            }
        }
        notify::ready(&self.status.text());
    }

    fn try_reload(&mut self, server: &Server) -> Result<Changes, Refusal> {
        let new = config::load(&self.source, &self.environment)
            .map_err(|problems| Refusal::of(&Failure::from(problems)))?;
        settings::check(&new).map_err(|problems| Refusal::of(&Failure::from(problems)))?;
        let places = self.places(&new.listeners.list);
        let certificates = self.read_certificates(&new, &places)?;
        self.level
            .set(&new.reloadable.log_level)
            .map_err(|error| Refusal::of(&Failure::new(error)))?;
        // Nothing fails from here on.
        for (reading, certificate) in certificates {
            reading.replace(certificate);
        }
        for (item, router) in &self.doors.open {
            if let Some(listener) = running(*item, &new, &places) {
                router.replace((self.doors.make)(listen::listening(listener)));
            }
        }
        server.set_limits(settings::limits(&new.reloadable));
        self.handles.apply(&new.reloadable, &self.current.fixed);
        certificates::look(&self.certificates());
        let (in_force, changes) = compare(&self.in_force, new.entries(), &places);
        self.in_force = in_force;
        let Config { fixed, listeners, .. } = std::mem::replace(&mut self.current, new);
        self.current.fixed = fixed;
        // Later reloads compare with the places that are open.
        self.current.listeners = listeners;
        Ok(changes)
    }

    /// The certificates in force.
    pub(crate) fn certificates(&self) -> Vec<Arc<Tls>> {
        self.doors.certificates.iter().map(Reading::tls).collect()
    }

    /// What becomes of the listeners of a new configuration.
    fn places(&self, new: &[Listener]) -> Vec<Option<Place>> {
        let mut places = match_listeners(&self.current.listeners.list, new);
        let is_open = |item: usize| self.doors.open.iter().any(|(other, _)| *other == item);
        for place in places.iter_mut().flatten() {
            place.runs &= is_open(place.item);
        }
        places
    }

    fn read_certificates(
        &self,
        new: &Config,
        places: &[Option<Place>],
    ) -> Result<Vec<(&Reading, Certificate)>, Refusal> {
        let mut read = Vec::new();
        for reading in &self.doors.certificates {
            let listener = running(reading.item(), new, places);
            match listener.and_then(listen::read_certificate) {
                Some(Ok(certificate)) => read.push((reading, certificate)),
                Some(Err(error)) => return Err(Refusal::of_certificate(&error.to_string())),
                None => {}
            }
        }
        Ok(read)
    }
}

/// The listener of the start that one of a new configuration is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Its number at the start.
    item: usize,
    /// Whether it listens where the new one is to, so that a reload can make one of the other.
    runs: bool,
}

/// Finds the listeners of a new configuration among those of the start: by where they listen, for
/// they may stand in another order or with others between them, and what is left by its order.
fn match_listeners(ours: &[Listener], new: &[Listener]) -> Vec<Option<Place>> {
    let mut left: Vec<usize> = (0..ours.len()).collect();
    let mut places: Vec<Option<Place>> = new
        .iter()
        .map(|listener| {
            let fits = |item: &usize| listener.is_at_the_place_of(&ours[*item]);
            let item = left.remove(left.iter().position(fits)?);
            Some(Place { item, runs: true })
        })
        .collect();
    let mut left = left.into_iter();
    for place in places.iter_mut().filter(|place| place.is_none()) {
        *place = left.next().map(|item| Place { item, runs: false });
    }
    places
}

/// What the new configuration says of a listener that runs.
fn running<'n>(item: usize, new: &'n Config, places: &[Option<Place>]) -> Option<&'n Listener> {
    let found = places.iter().position(|place| *place == Some(Place { item, runs: true }));
    new.listeners.list.get(found?)
}

/// Why a reload is refused: lines for the log, each with what it is.
struct Refusal(Vec<(&'static str, String)>);

impl Refusal {
    fn of(failure: &Failure) -> Self {
        let line = |line: &str| {
            let of_certificate = line.contains("`listeners.tls.");
            let id =
                if of_certificate { message::CERTIFICATE_REFUSED } else { message::RELOAD_REFUSED };
            (id, line.to_owned())
        };
        Self(failure.message.lines().map(line).collect())
    }

    fn of_certificate(line: &str) -> Self {
        Self(vec![(message::CERTIFICATE_REFUSED, line.to_owned())])
    }

    fn tell(&self) {
        for (id, line) in &self.0 {
            tracing::error!(MESSAGE_ID = *id, "the new configuration is not used: {line}");
        }
        if self.0.iter().any(|(_, line)| line.contains("Permission denied")) {
            tracing::info!(
                "if this server's user may read it, it is the sandbox, which leaves the \
                 directories that the configuration named at the start: files in others can be \
                 read after a restart"
            );
        }
    }
}

/// One setting that differs, in words for the log.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    path: String,
    text: String,
}

/// What a reload changed, and what it could not change.
#[derive(Debug, Default)]
struct Changes {
    applied: Vec<Change>,
    waiting: Vec<Change>,
}

impl Changes {
    fn tell(&self) {
        for Change { path, text } in &self.applied {
            tracing::info!(MATRIX_SETTING = %path, "{text} is in force");
        }
        for Change { path, text } in &self.waiting {
            tracing::warn!(
                MESSAGE_ID = message::SETTING_NEEDS_RESTART,
                MATRIX_SETTING = %path,
                "{text} needs a restart"
            );
        }
        let (applied, waiting) = (self.applied.len(), self.waiting.len());
        tracing::info!(
            MESSAGE_ID = message::RELOAD_APPLIED,
            APPLIED = applied,
            WAITING = waiting,
            "the configuration was read again"
        );
    }
}

impl From<Changes> for ReloadVerdict {
    fn from(Changes { applied, waiting }: Changes) -> Self {
        let texts = |changes: Vec<Change>| changes.into_iter().map(|change| change.text).collect();
        Self { refused: Vec::new(), applied: texts(applied), waiting: texts(waiting) }
    }
}

/// What is in force once `new` was applied, with the listeners' numbers of the start, and what of
/// it differs. `places` says what becomes of the listeners of the new configuration.
fn compare(in_force: &[Entry], new: &[Entry], places: &[Option<Place>]) -> (Vec<Entry>, Changes) {
    let (mut result, mut changes) = (Vec::new(), Changes::default());
    for entry in new {
        let place = entry.item.map(|item| places.get(item).copied().flatten());
        let covered = entry.effect == Effect::Reload
            && place.is_none_or(|place| place.is_some_and(|place| place.runs));
        let item = place.flatten().map(|place| place.item);
        let mut placed = entry.clone();
        placed.item = item;
        // A listener without a place has nothing in force.
        let is_compared = place.is_none_or(|place| place.is_some());
        let ours = in_force.iter().find(|other| is_compared && same_key(&placed, other));
        if ours.is_some_and(|ours| ours.has_value_of(entry)) {
            result.push(placed);
            continue;
        }
        if ours.is_none() && entry.value.is_none() {
            continue;
        }
        let change = Change { path: entry.path(), text: describe(ours, entry) };
        if covered {
            result.push(placed);
            changes.applied.push(change);
        } else {
            result.extend(ours.cloned());
            changes.waiting.push(change);
        }
    }
    // Listeners that are gone, which run on.
    let is_gone = |entry: &&Entry| !result.iter().any(|other| same_key(entry, other));
    let gone: Vec<Entry> = in_force.iter().filter(is_gone).cloned().collect();
    for entry in gone.iter().filter(|entry| entry.value.is_some()) {
        let text = format!("{} = gone", entry.path());
        changes.waiting.push(Change { path: entry.path(), text });
    }
    result.extend(gone);
    (result, changes)
}

/// What of an entry is new.
fn describe(ours: Option<&Entry>, entry: &Entry) -> String {
    let path = entry.path();
    if ours.is_some_and(|ours| ours.value == entry.value) {
        let what = if entry.key == CERTIFICATE { "certificate" } else { "secret" };
        return format!("{path}: a new {what}");
    }
    format!("{path} = {}", entry.value.as_deref().unwrap_or("not set"))
}

fn same_key(left: &Entry, right: &Entry) -> bool {
    (&left.table, left.item, left.key) == (&right.table, right.item, right.key)
}

#[cfg(test)]
#[path = "reload_test.rs"]
mod reload_test;
