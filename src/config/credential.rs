//! Where credentials are: secrets that the service manager shows to one service alone, see
//! systemd.exec(5) and systemd-creds(1).
//!
//! The service itself finds them in `$CREDENTIALS_DIRECTORY`. Whoever judges its configuration from
//! outside looks where the service manager has put those of the running service; while it does not
//! run, into the stores from which the unit imports them (`ImportCredential=matrix-homeserver.*`).
//! What lies there encrypted is known to exist, and no more.

use std::path::{Path, PathBuf};

use crate::service::Service;

/// Below which directories credentials are stored, strongest first, as systemd has them.
const STORES: [&str; 4] = ["etc", "run", "usr/local/lib", "usr/lib"];
const STORE: &str = "credstore";
const ENCRYPTED_STORE: &str = "credstore.encrypted";

/// A directory that has credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    directory: PathBuf,
    prefix: String,
    is_encrypted: bool,
}

/// The directories of credentials, strongest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    places: Vec<Place>,
}

impl From<PathBuf> for Credentials {
    /// Those that the service manager shows in this directory.
    fn from(directory: PathBuf) -> Self {
        let prefix = Service::Main.prefix();
        Self { places: vec![Place { directory, prefix, is_encrypted: false }] }
    }
}

impl Credentials {
    /// Those of the service; `root` is that of the file system.
    pub(crate) fn of_service(root: &Path, service: &Service) -> Self {
        let unit = service.unit();
        // The service manager's note of a unit that runs.
        let note = root.join("run/systemd/units").join(format!("invocation:{unit}"));
        if note.symlink_metadata().is_ok() {
            return root.join("run/credentials").join(unit).into();
        }
        let store = |name: &'static str| {
            STORES.map(|below| Place {
                directory: root.join(below).join(name),
                prefix: service.prefix(),
                is_encrypted: name == ENCRYPTED_STORE,
            })
        };
        Self { places: [store(STORE), store(ENCRYPTED_STORE)].concat() }
    }

    /// The file of a credential that is there, or may be there where this user cannot look.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let files = self.places.iter().map(|it| it.directory.join(format!("{}{name}", it.prefix)));
        files.into_iter().find(|file| file.try_exists().unwrap_or(true))
    }

    /// Whether the file is one that only the service manager can read.
    pub(crate) fn is_encrypted(&self, file: &Path) -> bool {
        let is_there = |place: &Place| file.parent() == Some(&*place.directory);
        self.places.iter().any(|place| place.is_encrypted && is_there(place))
    }

    /// Whether the file is one of them.
    pub fn has(&self, file: &Path) -> bool {
        self.places.iter().any(|place| file.parent() == Some(&*place.directory))
    }

    /// The directory that the service manager shows, if there is one.
    pub fn directory(&self) -> Option<&Path> {
        match &self.places[..] {
            [only] => Some(&only.directory),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn the_running_service_has_its_own_and_one_that_will_run_those_of_the_stores() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        write("usr/lib/credstore/matrix-homeserver.a");
        write("etc/credstore/matrix-homeserver.a");
        write("etc/credstore.encrypted/matrix-homeserver.a");
        write("etc/credstore.encrypted/matrix-homeserver.b");
        write("etc/credstore/matrix-homeserver-two.c");
        write("run/credentials/matrix-homeserver.service/matrix-homeserver.d");
        let find = |service: &Service, name: &str| {
            let credentials = Credentials::of_service(root.path(), service);
            let file = credentials.find(name)?;
            let told = file.strip_prefix(root.path()).unwrap().to_str().unwrap().to_owned();
            Some((told, credentials.is_encrypted(&file)))
        };
        let found = |path: &str, is_encrypted| Some((path.to_owned(), is_encrypted));
        assert_eq!(find(&Service::Main, "a"), found("etc/credstore/matrix-homeserver.a", false));
        let sealed = "etc/credstore.encrypted/matrix-homeserver.b";
        assert_eq!(find(&Service::Main, "b"), found(sealed, true));
        assert_eq!(find(&Service::Main, "c"), None);
        let two = Service::Further("two".to_owned());
        assert_eq!(find(&two, "c"), found("etc/credstore/matrix-homeserver-two.c", false));
        assert_eq!(find(&two, "a"), None);
        assert_eq!(find(&Service::Main, "d"), None);

        fs::create_dir_all(root.path().join("run/systemd/units")).unwrap();
        let note = "run/systemd/units/invocation:matrix-homeserver.service";
        symlink("0123", root.path().join(note)).unwrap();
        let running = "run/credentials/matrix-homeserver.service/matrix-homeserver.d";
        assert_eq!(find(&Service::Main, "d"), found(running, false));
        assert_eq!(find(&Service::Main, "a"), None);
        assert!(find(&two, "c").is_some());
    }
}
