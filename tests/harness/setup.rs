//! What a test asks of its server, and the configuration files that say so.

use std::{fmt::Write as _, fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use store::testing::Cluster;

use super::user::REGISTRATION_SECRET;

/// The name of every server under test.
pub(crate) const SERVER_NAME: &str = "server.test";

/// Where the server keeps its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Database {
    /// A file in the server's directory.
    #[default]
    Sqlite,
    /// The database that this URL names; it and its cluster belong to the test.
    Postgresql(String),
}

/// A server to be started.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The database.
    pub database: Database,
    /// Listeners besides the usual one, each the lines of one `[[listeners]]` table.
    pub listeners: Vec<String>,
    /// A fragment that is merged over the configuration, as in `conf.d`.
    pub fragment: String,
}

impl Setup {
    /// On the embedded database, with this fragment.
    pub fn with_fragment(fragment: &str) -> Self {
        Self { fragment: fragment.to_owned(), ..Self::default() }
    }

    /// On the embedded database, with one more listener.
    pub fn with_listener(lines: impl Into<String>) -> Self {
        Self { listeners: vec![lines.into()], ..Self::default() }
    }

    /// On a new database of the cluster that the tests of one process share.
    pub fn postgresql() -> Self {
        let database = Database::Postgresql(Cluster::shared().create_database());
        Self { database, ..Self::default() }
    }

    /// Writes the configuration into `directory`.
    pub(crate) fn write(&self, directory: &Path, address: SocketAddr) {
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        };
        write("homeserver.toml", &self.text(directory, address));
        write("registration-shared-secret", REGISTRATION_SECRET);
        // The server refuses a secret that everybody can read.
        let secret = directory.join("registration-shared-secret");
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        fs::create_dir_all(directory.join("conf.d")).expect("the directory is ours");
        write("conf.d/50-test.toml", &self.fragment);
    }

    fn text(&self, directory: &Path, address: SocketAddr) -> String {
        let url = match &self.database {
            Database::Sqlite => format!("sqlite://{}/homeserver.db", directory.display()),
            Database::Postgresql(url) => url.clone(),
        };
        let mut text = format!(
            "server_name = \"{SERVER_NAME}\"\n\
             public_baseurl = \"http://{address}/\"\n\
             report_stats = false\n\
             state_directory = \"{}\"\n\
             \n\
             [database]\nurl = \"{url}\"\n\
             \n\
             [registration]\nshared_secret_file = \"registration-shared-secret\"\n\
             \n\
             [log]\nformat = \"text\"\n\
             \n\
             [rate_limits]\nenabled = false\n\
             \n\
             [[listeners]]\nbind = [\"{address}\"]\n\
             resources = [\"client\", \"federation\", \"health\"]\n",
            directory.display(),
        );
        for listener in &self.listeners {
            // Writing into a string cannot fail.
            let _ = write!(text, "\n[[listeners]]\n{listener}\n");
        }
        text
    }
}

#[test]
fn the_configuration_is_toml() {
    let setup = Setup::with_listener("bind = [\"unix:/run/x.sock\"]\nresources = [\"client\"]");
    let text = setup.text(Path::new("/tmp/a"), "127.0.0.1:8008".parse().expect("an address"));
    let table: toml::Table = text.parse().expect("TOML");
    assert_eq!(table["listeners"].as_array().map(Vec::len), Some(2));
    assert_eq!(table["database"]["url"].as_str(), Some("sqlite:///tmp/a/homeserver.db"));
}
