//! The file of the signing key: read at each start, made at the first one.
//!
//! Invariant: a key is never overwritten and never seen half-written, for whoever loses it has to
//! explain to all other servers why they should believe the next one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use proto::{clock::Random, signing::SigningKey};

use crate::failure::Failure;

/// Permission bits for everybody who is neither owner nor group.
const OTHERS: u32 = 0o007;

/// Reads the key, or makes one when the file is not there.
pub(crate) fn load_or_generate(path: &Path, random: &dyn Random) -> Result<SigningKey, Failure> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate(random);
            write(path, &key).map_err(|error| failure("write", path, &error))?;
            tracing::info!(path = %path.display(), "a signing key was made");
            Ok(key)
        }
        Err(error) => Err(failure("read", path, &error)),
        Ok(text) => SigningKey::parse(&text).map_err(|error| failure("use", path, &error)),
    }
}

fn failure(verb: &str, path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(format!("cannot {verb} the signing key {}: {error}", path.display()))
}

fn read(path: &Path) -> io::Result<String> {
    let (file, metadata) = config::open_regular(path)?;
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(io::Error::other("every user can reach it; take that right away (chmod o=)"));
    }
    io::read_to_string(file)
}

/// Writes a temporary file beside it, syncs it, and gives it its name unless something has that
/// name by now.
fn write(path: &Path, key: &SigningKey) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(key.to_line().as_bytes())?;
    file.sync_all()?;
    // A hard link fails where a rename would replace.
    fs::hard_link(&temporary, path)?;
    fs::remove_file(&temporary)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemRandom;

    #[test]
    fn a_key_is_made_once_and_then_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/signing.key");
        let made = load_or_generate(&path, &SystemRandom).unwrap();
        let read = load_or_generate(&path, &SystemRandom).unwrap();
        assert_eq!(made.to_line(), read.to_line());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signing.key");
        fs::write(&path, "no key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let failure = load_or_generate(&path, &SystemRandom).err().unwrap();
        assert!(failure.message.contains("cannot use the signing key"), "{}", failure.message);
        assert_eq!(fs::read_to_string(&path).unwrap(), "no key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let failure = load_or_generate(&path, &SystemRandom).err().unwrap();
        assert!(failure.message.contains("every user"), "{}", failure.message);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let failure = load_or_generate(&file.join("signing.key"), &SystemRandom).err().unwrap();
        assert!(failure.message.contains("the signing key"), "{}", failure.message);
    }
}
