//! Which files make the configuration, and in what order.
//!
//! `homeserver.toml` of the first directory that has one, then the fragments `conf.d/*.toml` of all
//! directories sorted by file name. A fragment masks those of the same name in later directories;
//! an empty file or a link to `/dev/null` has nothing to say and so masks without replacement.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{credential::Credentials, problem::Problem, service::Service, source::Source};

/// Name of the main file.
pub const MAIN_FILE: &str = "homeserver.toml";
/// Name of the directory of fragments beside it.
pub const FRAGMENTS: &str = "conf.d";

/// The variable that names the broker's socket; the unit sets it.
pub const BROKER: &str = "MATRIX_HOMESERVER_EGRESS";

/// The socket of the broker that the units share, which goes by the layers of the system.
pub const BROKER_SOCKET: &str = "/run/matrix-homeserver-egress/broker.sock";

/// What the process finds around it; tests put directories of their own here.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Directories of the system's layers, strongest first.
    pub directories: Vec<PathBuf>,
    /// Where credentials are: `$CREDENTIALS_DIRECTORY`.
    pub credentials: Credentials,
    /// `$STATE_DIRECTORY`.
    pub state_directory: Option<PathBuf>,
    /// `$MATRIX_HOMESERVER_EGRESS`: the socket of the broker that connects for this process.
    pub broker: Option<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        // Of a list systemd puts the first directory first; it is the one of this unit.
        let first = |name| {
            let value = std::env::var_os(name)?;
            std::env::split_paths(&value).next().filter(|path| path.is_absolute())
        };
        Self {
            directories: ["/etc", "/run", "/usr/lib"]
                .map(|root| Path::new(root).join("matrix-homeserver"))
                .into(),
            credentials: first("CREDENTIALS_DIRECTORY").map(Credentials::from).unwrap_or_default(),
            state_directory: first("STATE_DIRECTORY"),
            // Empty is how a drop-in unsets it.
            broker: std::env::var_os(BROKER).filter(|path| !path.is_empty()).map(Into::into),
        }
    }

    /// The same for a command of the administrator's, which is no part of the service: what the
    /// service manager gives to the service that goes by `source`, and not to the command.
    pub fn of_administrator(source: &Source) -> Self {
        let mut environment = Self::of_process();
        let Some(service) = Service::of(source) else { return environment };
        if environment.credentials == Credentials::default() {
            environment.credentials = Credentials::of_service(Path::new("/"), &service);
        }
        environment.state_directory =
            environment.state_directory.or_else(|| service.state_directory());
        environment
    }

    /// The directories of the layers, strongest first.
    pub fn configuration_directories(&self, source: &Source) -> Vec<PathBuf> {
        match source {
            Source::System => self.directories.clone(),
            Source::File(path) => vec![parent(path)],
        }
    }

    /// The directory that relative paths of the configuration start from.
    pub(crate) fn configuration_directory(&self, source: &Source) -> PathBuf {
        self.configuration_directories(source).into_iter().next().unwrap_or_default()
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The files of the configuration, weakest first; there has to be one.
pub(crate) fn files(
    source: &Source,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    let files = files_if_any(source, environment, problems);
    if files.is_empty() {
        problems.push(nothing(&environment.directories));
    }
    files
}

/// The files of the configuration, weakest first.
pub(crate) fn files_if_any(
    source: &Source,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Vec<PathBuf> {
    match source {
        Source::File(path) => {
            let mut files = vec![path.clone()];
            files.extend(fragments(&[parent(path)], problems));
            files
        }
        Source::System => {
            let mains = environment.directories.iter().map(|directory| directory.join(MAIN_FILE));
            let mut files: Vec<_> = mains.filter(|path| is_there(path)).take(1).collect();
            files.extend(fragments(&environment.directories, problems));
            files
        }
    }
}

/// Whether something has that name, even if it cannot be read: that is an error, not an absence.
fn is_there(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn nothing(directories: &[PathBuf]) -> Problem {
    let places: Vec<_> = directories
        .iter()
        .map(|directory| directory.join(MAIN_FILE).display().to_string())
        .collect();
    Problem::nowhere(format!(
        "there is no configuration: none of {} exists; \
         `matrix-homeserver config generate` makes one",
        places.join(", ")
    ))
}

fn fragments(directories: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        let directory = directory.join(FRAGMENTS);
        match names(&directory) {
            Ok(names) => {
                for name in names {
                    by_name.entry(name.clone()).or_insert_with(|| directory.join(name));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let reason = format!("cannot read {}: {error}", directory.display());
                problems.push(Problem::nowhere(reason));
            }
        }
    }
    by_name.into_values().collect()
}

fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".toml") && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    Ok(names)
}
