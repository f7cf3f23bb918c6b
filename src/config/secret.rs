//! Secrets: values that no log, error or listing shows, and the files that they come from.
//!
//! A key `NAME_file` names a file, and so do those of TLS. A relative path is first looked for as
//! the credential `matrix-homeserver.PATH` of the service manager, then in the configuration
//! directory. No secret may lie in a file that every user can read.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Largest secret that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

/// The places where secrets are looked for.
#[derive(Clone, Debug)]
pub(crate) struct SecretPlaces {
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) configuration: PathBuf,
}

impl SecretPlaces {
    /// Reads the secret that a `_file` key names.
    pub(crate) fn read(&self, name: &str) -> Result<Secret, String> {
        let path = self.resolve(name);
        read(&path).map_err(|reason| format!("cannot take {}: {reason}", path.display()))
    }

    /// The file that a `_file` key means.
    pub(crate) fn resolve(&self, name: &str) -> PathBuf {
        if !name.contains('/')
            && let Some(credentials) = &self.credentials
        {
            let credential = credentials.join(format!("matrix-homeserver.{name}"));
            if credential.exists() {
                return credential;
            }
        }
        self.configuration.join(name)
    }
}

/// Whether every user of the machine can read a file that is there.
pub(crate) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| is_open(&metadata))
}

fn is_open(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o004 != 0
}

fn read(path: &Path) -> Result<Secret, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if is_open(&metadata) {
        return Err("every user can read it; take that right away (chmod o-r)".to_owned());
    }
    if metadata.len() > MAX_BYTES {
        return Err(format!("it is longer than {MAX_BYTES} bytes"));
    }
    let text = io::read_to_string(file).map_err(|error| error.to_string())?;
    // Editors and `echo` end files with a newline, which is no part of the secret.
    let secret = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(secret.to_owned()))
}
