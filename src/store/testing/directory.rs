//! A directory of a test's own, gone when the test ends.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

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
