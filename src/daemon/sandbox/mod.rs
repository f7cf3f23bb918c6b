//! The sandbox: what the process takes away from itself before it answers anybody, with Landlock.
//!
//! ```text
//! configuration → log → sockets → [sandbox closed] → allocator's thread, runtime → database → …
//! ```
//!
//! Invariant: it is closed while the process has one thread, for Landlock binds the thread that
//! asks for it and those that it starts. Whether it stands is asked of the kernel and tried out,
//! never supposed: `enforce` means that there is no server without it.
//!
//! What is opened before the sandbox stays open; what a reload opens must be among the rules, which
//! `rules` takes from the configuration. See landlock(7).

mod enforce;
pub(crate) mod probe;
mod rules;

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use config::{Config, EgressConfig, Problem, Source, section::sandbox::Landlock};
use http::{Resolve, SystemResolver};

use crate::{failure::Failure, message, resolver::Outside, system};
use enforce::{Enforced, Refusal};
use rules::{Plan, Surroundings};

/// How often is looked whether a file was replaced that is granted alone.
const WATCH_INTERVAL: Duration = Duration::from_mins(1);
/// The same where somebody waits for it.
const REPLACED_INTERVAL: Duration = Duration::from_secs(5);

/// The sandbox of this process, whatever came of it.
pub(crate) struct Sandbox {
    standing: Standing,
    alone: Vec<Alone>,
    /// The process's own directory in /proc: its rule holds as long as somebody holds it open.
    _held: Vec<OwnedFd>,
    /// Who resolves names, because the sandbox hides what that takes.
    outside: Option<Outside>,
}

/// How it stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The kernel enforces it; its ABI, and what that ABI lacks.
    Closed { abi: i32, missing: String },
    /// It should be closed, and is not.
    Failed { reason: String },
    /// It was switched off.
    Off,
}

/// A file that is granted without its directory.
#[derive(Clone)]
struct Alone {
    path: PathBuf,
    /// None if it was not there.
    identity: Option<(u64, u64)>,
}

/// Paths of `[sandbox]` that are not there, as the start would refuse them.
pub(crate) fn check(config: &Config) -> Vec<Problem> {
    let sandbox = &config.fixed.sandbox;
    if sandbox.landlock != Landlock::Enforce {
        return Vec::new();
    }
    let paths = [
        ("sandbox.read_paths", &sandbox.read_paths),
        ("sandbox.write_paths", &sandbox.write_paths),
    ];
    let named =
        paths.into_iter().flat_map(|(key, paths)| paths.iter().map(move |path| (key, path)));
    let missing = named.filter_map(|(key, path)| {
        let error = fs::metadata(path).err()?;
        let reason = format!("names {}, which cannot be granted: {error}", path.display());
        Some(config.problem(key, None, &reason))
    });
    missing.collect()
}

/// Closes the sandbox of this configuration, or says in one line why the server cannot start.
pub(crate) fn close(config: &Config, source: &Source) -> Result<Sandbox, Failure> {
    // Asked now because the answers lie in files that nobody can read afterwards.
    system::processors();
    if !config.fixed.database.url.is_embedded() {
        system::user_name();
    }
    let plan = rules::plan(config, &Surroundings::of_process(source));
    let landlock = config.fixed.sandbox.landlock;
    let needs_outside = config.fixed.broker.is_none() && landlock != Landlock::Off;
    let outside = needs_outside.then(|| Outside::begin(landlock)).transpose()?;
    let closed = close_by(&plan, landlock).map_err(|refusal| match refusal {
        Refusal::Path { key, reason } => config.problem(key, None, &reason).into(),
        Refusal::Kernel(reason) => Failure::new(format!(
            "cannot close the sandbox: {reason}; with `landlock = \"best-effort\"` in [sandbox] \
             the server starts with what protection there is"
        )),
    });
    let mut sandbox = closed?;
    outside.iter().for_each(Outside::release);
    if outside.is_some() && config.fixed.database.url.is_embedded() {
        // Nobody in here needs a new one. A database's name is resolved in here, though.
        sandbox.alone.retain(|file| !rules::is_of_resolver(&file.path));
    }
    Ok(Sandbox { outside, ..sandbox })
}

/// Closes that of the process that resolves names, or says in one line why it cannot start.
pub(crate) fn close_resolver(landlock: Landlock) -> Result<Sandbox, Failure> {
    let plan = rules::resolver_plan(&Surroundings::of_process(&Source::System));
    close_by(&plan, landlock).map_err(|refusal| match refusal {
        Refusal::Path { reason, .. } | Refusal::Kernel(reason) => {
            Failure::new(format!("cannot close the sandbox of what resolves names: {reason}"))
        }
    })
}

/// Closes that of the broker, which may have made its socket by itself, or says in one line why it
/// cannot start.
pub(crate) fn close_broker(
    config: &EgressConfig,
    source: &Source,
    socket: Option<&Path>,
) -> Result<Sandbox, Failure> {
    let plan = rules::broker_plan(config, socket, &Surroundings::of_process(source));
    close_by(&plan, config.landlock).map_err(|refusal| match refusal {
        Refusal::Path { key, reason } => config.problem(key, &reason).into(),
        Refusal::Kernel(reason) => Failure::new(format!(
            "cannot close the sandbox: {reason}; with `landlock = \"best-effort\"` in [sandbox], \
             in a file that the broker's user can read, it starts with what protection there is"
        )),
    })
}

/// Closes it, or says in the log why it does not stand where it need not.
fn close_by(plan: &Plan, landlock: Landlock) -> Result<Sandbox, Refusal> {
    let strict = match landlock {
        Landlock::Off => {
            tracing::warn!(
                MESSAGE_ID = message::SANDBOX_DEGRADED,
                "the sandbox is switched off (sandbox.landlock)"
            );
            return Ok(Sandbox::open(Standing::Off));
        }
        Landlock::Enforce => true,
        Landlock::BestEffort => false,
    };
    match enforce::restrict(plan, strict) {
        Ok(enforced) => Ok(Sandbox::closed(enforced)),
        Err(Refusal::Kernel(reason)) if !strict => {
            tracing::warn!(
                MESSAGE_ID = message::SANDBOX_DEGRADED,
                "the sandbox is not closed: {reason}"
            );
            Ok(Sandbox::open(Standing::Failed { reason }))
        }
        Err(refusal) => Err(refusal),
    }
}

impl Sandbox {
    fn open(standing: Standing) -> Self {
        Self { standing, alone: Vec::new(), _held: Vec::new(), outside: None }
    }

    fn closed(enforced: Enforced) -> Self {
        let Enforced { abi, done, missing, granted, held, alone } = enforced;
        for line in granted {
            tracing::debug!("the sandbox leaves {line}");
        }
        let (done, missing) = (done.join(", "), missing.join(", "));
        if missing.is_empty() {
            tracing::info!(landlock_abi = abi, "the sandbox is closed: {done}");
        } else {
            tracing::info!(landlock_abi = abi, "the sandbox is closed: {done}; without {missing}");
        }
        let alone = alone.into_iter().map(Alone::new).collect();
        Self { standing: Standing::Closed { abi, missing }, alone, _held: held, outside: None }
    }

    /// A few words for the service manager's STATUS.
    pub(crate) fn status(&self) -> String {
        match &self.standing {
            Standing::Closed { abi, missing } if missing.is_empty() => {
                format!("sandbox closed (Landlock ABI {abi})")
            }
            Standing::Closed { abi, missing } => {
                format!("sandbox closed (Landlock ABI {abi}, without {missing})")
            }
            Standing::Failed { reason } => format!("sandbox NOT closed: {reason}"),
            Standing::Off => "sandbox switched off".to_owned(),
        }
    }

    /// What resolves names where no broker does. To be called within a runtime.
    pub(crate) fn resolver(&self) -> Result<Arc<dyn Resolve>, Failure> {
        Ok(match &self.outside {
            Some(outside) => Arc::new(outside.resolver()?),
            None => Arc::new(SystemResolver),
        })
    }

    /// One word for a table: whether it stands, and the kernel's ABI.
    fn verdict(&self) -> (&'static str, String) {
        match &self.standing {
            Standing::Closed { abi, .. } => ("enforced", format!("abi-{abi}")),
            Standing::Failed { .. } => ("failed", "-".to_owned()),
            Standing::Off => ("off", "-".to_owned()),
        }
    }

    /// Waits until a file that is granted alone was replaced, and names it.
    pub(crate) async fn replaced(&self) -> PathBuf {
        loop {
            tokio::time::sleep(REPLACED_INTERVAL).await;
            if let Some(gone) = self.alone.iter().find(|file| file.is_replaced()) {
                return gone.path.clone();
            }
        }
    }

    /// Says in the log when a file that is granted alone was replaced: the new one cannot be read.
    pub(crate) fn watch(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut alone = self.alone.clone();
        async move {
            while !alone.is_empty() {
                tokio::time::sleep(WATCH_INTERVAL).await;
                for gone in alone.extract_if(.., |file| file.is_replaced()) {
                    tracing::warn!(
                        path = %gone.path.display(),
                        "a file was replaced that the sandbox grants alone: the new one can be \
                         read after a restart (or name its directory in sandbox.read_paths)"
                    );
                }
            }
        }
    }
}

impl Alone {
    fn new(path: PathBuf) -> Self {
        let identity = identity(&path);
        Self { path, identity }
    }

    /// Looking at a file's identity takes no right that Landlock knows.
    fn is_replaced(&self) -> bool {
        identity(&self.path).is_some_and(|identity| Some(identity) != self.identity)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
#[path = "sandbox_test.rs"]
mod tests;
