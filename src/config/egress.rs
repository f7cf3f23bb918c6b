//! The broker's part of the configuration: `[egress]`, `[log]` for its own log, and of `[sandbox]`
//! how strictly its sandbox is closed.
//!
//! The broker runs as a user of its own, who may read no secret. So it reads the same layers as the
//! server, but takes these three sections alone: no key of another section is looked at, and no
//! file that a key names is opened. A layer that this user may not read is left out and named; the
//! server, which reads everything, refuses an `[egress]` in such a file (see [`lost`]), so that
//! nothing of it can be lost; what is lost of `[sandbox]` leaves the broker the stricter. A
//! directory that cannot be listed is an error, and so is a file that its user may read, but its
//! sandbox does not: what it says must not be lost either.
//!
//! All servers of a machine share one broker, which goes by the layers of the system, by nothing if
//! there are none; an `[egress]` of another server is refused.

use std::{
    io,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};

use crate::{
    BROKER_SOCKET, Credentials, Entry, Environment, Problem, Problems, Source, fragment, layer,
    reader::{Context, Found, Reader},
    regular::open_at_once,
    secret::SecretPlaces,
    section::{
        egress::{self, Egress},
        log::{self, Log},
        sandbox::{self, Landlock},
    },
    service::Service,
    tree::{self, Table},
};

/// The name of the section.
const SECTION: &str = "egress";
/// That of the one whose paths are the server's alone, and the key that is not.
const SANDBOX: &str = "sandbox";
const LANDLOCK: &str = "landlock";

/// What the broker goes by.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// `[egress]`.
    pub egress: Egress,
    /// `[log]`.
    pub log: Log,
    /// How strictly the broker's sandbox is closed.
    pub landlock: Landlock,
    /// The files of the configuration.
    pub files: Vec<PathBuf>,
    /// Those of the configuration that this process may not read.
    pub unread: Vec<PathBuf>,
    entries: Vec<Entry>,
}

impl EgressConfig {
    /// A problem with the value of a key, found by somebody who knows more about it than this
    /// crate.
    pub fn problem(&self, path: &str, reason: &str) -> Problem {
        crate::problem_of(&self.entries, path, None, reason)
    }

    /// Every key that the broker goes by, with its value and origin.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// Reads and checks the broker's part of the configuration.
pub fn load_egress(source: &Source, environment: &Environment) -> Result<EgressConfig, Problems> {
    let (mut problems, mut unread) = (Vec::new(), Vec::new());
    let mut table = Table::new();
    let files = layer::files_if_any(source, environment, &mut problems);
    for path in &files {
        if is_forbidden(path) {
            unread.push(path.clone());
        } else {
            tree::merge(&mut table, fragment::read(path, &mut problems));
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    table.retain(|key, _| [SECTION, "log", SANDBOX].contains(&key.as_str()));
    // No secret is asked for, so that it does not matter where they would be.
    let context = Context::new(SecretPlaces {
        credentials: Credentials::default(),
        configuration: PathBuf::new(),
        are_left: true,
    });
    let mut top = Reader::new(&context, &table);
    let egress = egress::read(&mut top.section(SECTION));
    let log = log::read(&mut top.section("log"));
    let landlock = sandbox::read(&mut top.section(SANDBOX)).landlock;
    drop(top);
    let Found { mut entries, problems, .. } = context.finish();
    entries.retain(|entry| entry.table != SANDBOX || entry.key == LANDLOCK);
    if problems.is_empty() {
        return Ok(EgressConfig { egress, log, landlock, files, unread, entries });
    }
    Err(Problems(problems))
}

/// Whether this user may not read the file. A sandbox, which access(2) knows nothing of, is another
/// matter.
fn is_forbidden(path: &Path) -> bool {
    let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    open_at_once(path).is_err_and(denied) && access(path, AccessFlags::R_OK).is_err()
}

/// Keys of `[egress]` that the broker does not read, or may be unable to, because not every user
/// can.
pub(crate) fn lost(entries: &[Entry], source: &Source, environment: &Environment) -> Vec<Problem> {
    let Some(broker) = &environment.broker else { return Vec::new() };
    let is_further = matches!(Service::of(source), Some(Service::Further(_)));
    let is_shared = is_further && broker == Path::new(BROKER_SOCKET);
    let lost = entries.iter().filter(|entry| entry.table == SECTION).filter_map(|entry| {
        let origin = entry.origin.as_ref()?;
        let reason = if is_shared {
            let place = environment.directories.first().map(|directory| directory.display());
            format!(
                "which all servers of this machine share: it goes by {} alone",
                place.map(|place| place.to_string()).unwrap_or_default()
            )
        } else if origin.file.world_readable {
            return None;
        } else {
            "which is another user; put [egress] into a fragment of its own that every user can \
             read (chmod o+r)"
                .to_owned()
        };
        let reason = format!("`{}` is the broker's to read, {reason}", entry.path());
        Some(Problem::at(origin, reason))
    });
    lost.collect()
}

#[cfg(test)]
#[path = "egress_test.rs"]
mod egress_test;
