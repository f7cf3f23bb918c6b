//! The embedded engine: `SQLite` in WAL mode, synced at every commit, one writing connection,
//! readers beside it.
//!
//! Another process is kept out by a lock on the file `….lock` beside the database, which dies with
//! its process.

mod link;
mod log_file;

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OpenFlags, config::DbConfig, types::ValueRef};

use self::{
    link::{SqliteLink, translate_error},
    log_file::LogFile,
};
use super::{Engine, Link};
use crate::{error::OpenError, pulse, settings::Settings};

/// Pages of the log after which it is copied into the database file.
const CHECKPOINT_PAGES: u32 = 2000;
/// The log's file is cut to this size when it begins anew, which it does at the latest when it is
/// longer, in bytes.
const LOG_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 512;

/// Opens links to one database file.
pub(crate) struct SqliteEngine {
    path: PathBuf,
    page_cache_kib: u32,
    patience: Duration,
    log_bytes: u64,
}

impl SqliteEngine {
    pub(crate) fn new(path: PathBuf, settings: &Settings) -> Self {
        let Settings { page_cache_kib, patience, .. } = *settings;
        Self { path, page_cache_kib, patience, log_bytes: LOG_FILE_BYTES }
    }

    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        pulse::set_patience(self.patience);
        connection.busy_handler(Some(pulse::wait_for_lock))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // A prepared statement stays as it is; without this, a value other than the last one has
        // the planner look whether another plan would suit it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Foreign keys stay off: the writer's rows may be written in any order, and nothing
        // cascades behind its back.
        connection.execute_batch(&format!(
            "PRAGMA page_size = 4096;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {};
             PRAGMA cache_size = -{};
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;
             PRAGMA foreign_keys = OFF;",
            self.log_bytes, self.page_cache_kib
        ))?;
        rusqlite::vtab::array::load_module(&connection)?;
        Ok(connection)
    }

    fn connect_error(&self, reason: &impl ToString) -> OpenError {
        let place = self.path.display().to_string();
        OpenError::Connect { place, reason: reason.to_string() }
    }

    /// Creates the file so that only its owner reads it; the log files take after it.
    fn create(&self) -> Result<(), OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        options.open(&self.path).map_err(|error| self.connect_error(&error))?;
        // That the file is there must be as durable as what is in it.
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new(".")));
        directory.and_then(|directory| directory.sync_all()).map_err(|e| self.connect_error(&e))
    }

    fn lock(&self) -> Result<Flock<File>, OpenError> {
        let path = lock_path(&self.path);
        let refused = |reason: String| OpenError::File { path: path.clone(), reason };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|error| refused(error.to_string()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let note = |lock: &mut File| -> std::io::Result<()> {
                    lock.set_len(0)?;
                    lock.rewind()?;
                    write!(lock, "process {}", std::process::id())
                };
                note(&mut lock).map_err(|error| refused(error.to_string()))?;
                Ok(lock)
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                // Who holds it is a courtesy only.
                let _ = file.read_to_string(&mut holder);
                Err(OpenError::InUse { place: self.path.display().to_string(), holder })
            }
            Err((_, error)) => Err(refused(error.to_string())),
        }
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

impl Engine for SqliteEngine {
    fn open_writer(&self) -> Result<Box<dyn Link>, OpenError> {
        self.create()?;
        let lock = self.lock()?;
        let connection = self.open().map_err(|error| self.connect_error(&error))?;
        for (setting, wanted) in [("journal_mode", "wal"), ("synchronous", "2")] {
            let found = read_back(&connection, setting).map_err(|error| translate_error(&error))?;
            if found != wanted {
                return Err(OpenError::NotDurable { setting, found, wanted });
            }
        }
        let log = LogFile::new(&self.path, self.log_bytes);
        Ok(Box::new(SqliteLink::new(connection, Some((lock, log)))))
    }

    fn open_reader(&self) -> Result<Box<dyn Link>, OpenError> {
        let connection = self.open().map_err(|error| self.connect_error(&error))?;
        connection
            .execute_batch("PRAGMA query_only = ON")
            .map_err(|error| translate_error(&error))?;
        let mut link = SqliteLink::new(connection, None);
        link.watch_clock().map_err(|error| translate_error(&error))?;
        Ok(Box::new(link))
    }
}

/// What a setting of the connection really is.
fn read_back(connection: &Connection, setting: &str) -> Result<String, rusqlite::Error> {
    connection.query_row(&format!("PRAGMA {setting}"), [], |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(int) => int.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        })
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_prepared_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let settings = Settings::new(format!("sqlite://{}", path.display()));
        let engine = SqliteEngine::new(path, &settings);
        let connection = engine.open().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE event (number INTEGER PRIMARY KEY, depth INTEGER, position INTEGER);
                 CREATE INDEX place ON event (depth, position) WHERE position IS NOT NULL;
                 CREATE INDEX first ON event (position) WHERE depth = 1;",
            )
            .unwrap();
        let sql = "SELECT number FROM event WHERE depth = ?1 AND position <= ?2 LIMIT ?3";
        let mut statement = connection.prepare(sql).unwrap();
        for value in 1..5 {
            assert!(!statement.exists([value, value * 7, value]).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
