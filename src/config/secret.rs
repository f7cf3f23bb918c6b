//! Secrets: values that no log, error or listing shows, and the files that they come from.
//!
//! A key `NAME_file` names a file, and so do those of TLS. A relative path is first looked for as
//! the credential `matrix-homeserver.PATH` of the service manager, then in the configuration
//! directory. No secret may lie in a file that every user can read.

use std::{
    fmt, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{credential::Credentials, regular::open_regular};

/// Largest secret that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// One that nobody could look at, which is empty as no other is.
    pub(crate) fn unknown() -> Self {
        Self(String::new())
    }

    /// Whether it is known.
    pub fn is_known(&self) -> bool {
        !self.0.is_empty()
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
    pub(crate) credentials: Credentials,
    pub(crate) configuration: PathBuf,
    /// Whether secrets are left where they are, unknown.
    pub(crate) are_left: bool,
}

impl SecretPlaces {
    /// Reads the secret that a `_file` key names.
    pub(crate) fn read(&self, name: &str) -> Result<Secret, String> {
        let path = self.resolve(name);
        if self.are_left || self.credentials.is_encrypted(&path) {
            return Ok(Secret::unknown());
        }
        read(&path).map_err(|error| {
            let reason = format!("cannot take {}: {error}", path.display());
            if !is_credential_name(name) || path.exists() {
                return reason;
            }
            format!("{reason}; nor is there a credential matrix-homeserver.{name}")
        })
    }

    /// Whether only the service can read the file that a key names.
    pub(crate) fn is_encrypted(&self, path: &Path) -> bool {
        self.credentials.is_encrypted(path)
    }

    /// The file that a `_file` key means.
    pub(crate) fn resolve(&self, name: &str) -> PathBuf {
        let credential = is_credential_name(name).then(|| self.credentials.find(name)).flatten();
        credential.unwrap_or_else(|| self.configuration.join(name))
    }
}

/// Whether a key that names a file may mean a credential.
fn is_credential_name(name: &str) -> bool {
    !name.contains('/')
}

/// Whether every user of the machine can read a file that is there.
pub(crate) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| is_open(&metadata))
}

fn is_open(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o004 != 0
}

/// What a file holds, as far as it tells the file from another; none if it cannot be read.
pub(crate) fn contents(path: &Path) -> Option<Secret> {
    let mut bytes = Vec::new();
    let (file, _) = open_regular(path).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(Secret::new(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read(path: &Path) -> Result<Secret, String> {
    let (file, metadata) = open_regular(path).map_err(|error| error.to_string())?;
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
