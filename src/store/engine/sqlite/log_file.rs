//! The log's file, which must not grow for ever.
//!
//! `SQLite` copies the log into the database as it grows, and begins it anew once all of it is
//! copied and no view needs it. Where views overlap without a break, as under a steady load of
//! reads, that moment may never come. So once the file is too long, the writer itself waits for the
//! views that are there; those that begin meanwhile do not need the log.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;

use crate::pulse;

/// How long the writer waits for views at once.
const VIEWS_PATIENCE: Duration = Duration::from_secs(1);
/// If they take longer, it tries again once the file has grown by one part in so many.
const GROWTH_SHARE: u64 = 4;

/// The file, and how long it may become.
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    /// The length beyond which something is done.
    bytes_now: u64,
}

impl LogFile {
    /// The log of a database.
    pub(super) fn new(database: &Path, bytes_max: u64) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), bytes_max, bytes_now: bytes_max }
    }

    /// After a commit: has the next one begin the log anew if it is too long.
    pub(super) fn keep_short(&mut self, connection: &Connection) {
        let Ok(length) = fs::metadata(&self.path).map(|file| file.len()) else { return };
        if length <= self.bytes_now {
            return;
        }
        let patience = pulse::set_patience(VIEWS_PATIENCE);
        let restart = "PRAGMA wal_checkpoint(RESTART)";
        let is_blocked = connection.query_row(restart, [], |row| row.get::<_, bool>(0));
        pulse::set_patience(patience);
        self.bytes_now = self.bytes_max;
        match is_blocked {
            Ok(false) => return,
            Ok(true) => tracing::debug!(length, "reads keep the log from beginning anew"),
            Err(error) => tracing::warn!(%error, length, "the log cannot begin anew"),
        }
        self.bytes_now = length + self.bytes_max / GROWTH_SHARE;
    }
}

#[cfg(test)]
#[path = "log_file_test.rs"]
mod tests;
