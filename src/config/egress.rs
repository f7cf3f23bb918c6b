//! The broker's part of the configuration: `[egress]`, and `[log]` for its own log.
//!
//! The broker runs as a user of its own, who may read no secret. So it reads the same layers as the
//! server, but takes these two sections alone: no key of another section is looked at, and no file
//! that a key names is opened. A layer that this user may not read is left out and named; the
//! server, which reads everything, refuses an `[egress]` in such a file (see [`hidden`]), so that
//! nothing of it can be lost. A directory that cannot be listed is an error.

use std::{fs, io, path::PathBuf};

use crate::{
    Entry, Environment, Problem, Problems, Source, fragment, layer,
    reader::{Context, Found, Reader},
    secret::SecretPlaces,
    section::{
        egress::{self, Egress},
        log::{self, Log},
    },
    tree::{self, Table},
};

/// The name of the section.
const SECTION: &str = "egress";

/// What the broker goes by.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// `[egress]`.
    pub egress: Egress,
    /// `[log]`.
    pub log: Log,
    /// Files of the configuration that this process may not read.
    pub unread: Vec<PathBuf>,
    entries: Vec<Entry>,
}

impl EgressConfig {
    /// A problem with the value of a key, found by somebody who knows more about it than this
    /// crate.
    pub fn problem(&self, path: &str, reason: &str) -> Problem {
        crate::problem_of(&self.entries, path, None, reason)
    }

    /// Every key of both sections with its value and origin.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// Reads and checks the broker's part of the configuration.
pub fn load_egress(source: &Source, environment: &Environment) -> Result<EgressConfig, Problems> {
    let (mut problems, mut unread) = (Vec::new(), Vec::new());
    let mut table = Table::new();
    for path in layer::files(source, environment, &mut problems) {
        match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unread.push(path),
            _ => tree::merge(&mut table, fragment::read(&path, &mut problems)),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    table.retain(|key, _| [SECTION, "log"].contains(&key.as_str()));
    // No secret is asked for, so that it does not matter where they would be.
    let context = Context::new(SecretPlaces { credentials: None, configuration: PathBuf::new() });
    let mut top = Reader::new(&context, &table);
    let egress = egress::read(&mut top.section(SECTION));
    let log = log::read(&mut top.section("log"));
    drop(top);
    let Found { entries, problems, .. } = context.finish();
    if problems.is_empty() {
        return Ok(EgressConfig { egress, log, unread, entries });
    }
    Err(Problems(problems))
}

/// Keys of `[egress]` that the broker may be unable to read, because not every user can.
pub(crate) fn hidden(entries: &[Entry]) -> Vec<Problem> {
    let hidden = entries.iter().filter(|entry| entry.table == SECTION).filter_map(|entry| {
        let origin = entry.origin.as_ref().filter(|origin| !origin.file.world_readable)?;
        let reason = format!(
            "`{}` is the broker's to read, which is another user; put [egress] into a fragment of \
             its own that every user can read (chmod o+r)",
            entry.path()
        );
        Some(Problem::at(origin, reason))
    });
    hidden.collect()
}

#[cfg(test)]
#[path = "egress_test.rs"]
mod egress_test;
