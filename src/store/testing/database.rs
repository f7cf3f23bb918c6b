//! A database of its own for a test, gone when the test ends.

use super::{cluster::Cluster, directory::Directory};
use crate::{Settings, Store};

/// A database that no other test uses.
pub struct Database {
    settings: Settings,
    _directory: Option<Directory>,
}

impl Database {
    /// A new file of the embedded engine.
    pub fn sqlite() -> Self {
        let directory = Directory::new("sqlite");
        let url = format!("sqlite://{}/test.db", directory.path().display());
        Self { settings: Settings::new(url), _directory: Some(directory) }
    }

    /// A new database in this process's own `PostgreSQL` cluster, which is started by the first
    /// call.
    ///
    /// # Panics
    /// If there is no `PostgreSQL` to start.
    pub fn postgres() -> Self {
        Self { settings: Settings::new(Cluster::shared().create_database()), _directory: None }
    }

    /// Settings that open it.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Opens it.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub async fn open(&self) -> Store {
        Store::open(self.settings()).await.expect("a test's database opens")
    }

    /// Whether it is one of the embedded engine.
    pub fn is_sqlite(&self) -> bool {
        self.settings.url.starts_with("sqlite:")
    }
}
