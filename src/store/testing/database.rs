//! A database of its own for a test, gone when the test ends.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::cluster::Cluster;
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

/// A directory that is removed at the end.
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes a new one.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(purpose: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("matrix-homeserver-{purpose}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // One of the same name is left from a process that was killed.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left costs a little space only.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
