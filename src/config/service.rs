//! The units that go by a configuration, as `systemd/` has them: `matrix-homeserver.service` by the
//! system's, `matrix-homeserver@NAME.service` by that in /etc/matrix-homeserver-NAME.

use std::path::{Path, PathBuf};

use crate::source::Source;

/// What the names of its units and of its directories begin with.
const NAME: &str = "matrix-homeserver";
/// Where the directories of configurations are.
const CONFIGURATIONS: &str = "/etc";

impl Source {
    /// Where clients find the server of this configuration if the configuration does not say, and
    /// it is not the usual place.
    pub fn service_socket(&self) -> Option<PathBuf> {
        Service::of(self)?.socket()
    }
}

/// The service that goes by a configuration.
pub(crate) enum Service {
    /// `matrix-homeserver.service`.
    Main,
    /// `matrix-homeserver@NAME.service`.
    Further(String),
}

impl Service {
    /// The one that the units have for it.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let Source::File(file) = source else { return Some(Self::Main) };
        let directory = file.parent()?;
        if directory.parent() != Some(Path::new(CONFIGURATIONS)) {
            return None;
        }
        match directory.file_name()?.to_str()?.strip_prefix(NAME)? {
            // Somebody has named a file of the system's.
            "" => Some(Self::Main),
            rest => Some(Self::Further(rest.strip_prefix('-')?.to_owned())),
        }
    }

    pub(crate) fn unit(&self) -> String {
        match self {
            Self::Main => format!("{NAME}.service"),
            Self::Further(name) => format!("{NAME}@{name}.service"),
        }
    }

    /// What the names of its stored credentials begin with.
    pub(crate) fn prefix(&self) -> String {
        match self {
            Self::Main => format!("{NAME}."),
            Self::Further(name) => format!("{NAME}-{name}."),
        }
    }

    /// Where its socket unit listens by itself, if that is a unix socket.
    fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Main => None,
            Self::Further(name) => Some(format!("/run/{NAME}-{name}.sock").into()),
        }
    }

    /// Its `StateDirectory=`, if it is another than the usual one.
    pub(crate) fn state_directory(&self) -> Option<PathBuf> {
        match self {
            Self::Main => None,
            Self::Further(name) => Some(format!("/var/lib/{NAME}-{name}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_tells_its_service() {
        let unit = |source: Source| Service::of(&source).map(|service| service.unit());
        let of_file = |path: &str| unit(Source::File(path.into()));
        assert_eq!(unit(Source::System).unwrap(), "matrix-homeserver.service");
        let instance = of_file("/etc/matrix-homeserver-two/homeserver.toml");
        assert_eq!(instance.unwrap(), "matrix-homeserver@two.service");
        let named = of_file("/etc/matrix-homeserver/homeserver.toml");
        assert_eq!(named.unwrap(), "matrix-homeserver.service");
        for path in ["/etc/matrix-homeserverx/h.toml", "/srv/matrix-homeserver-x/h.toml"] {
            assert_eq!(of_file(path), None, "{path}");
        }
        assert_eq!(of_file("homeserver.toml"), None);
        let socket = |path: &str| Source::File(path.into()).service_socket();
        let expected = Some("/run/matrix-homeserver-two.sock".into());
        assert_eq!(socket("/etc/matrix-homeserver-two/homeserver.toml"), expected);
        assert_eq!(socket("/etc/matrix-homeserver/homeserver.toml"), None);
    }
}
