//! The embedded engine: `SQLite` in WAL mode, synced at every commit, one writing connection,
//! readers beside it.
//!
//! Another process is kept out by a lock on the file `….lock` beside the database, which dies with
//! its process.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, ErrorCode, OpenFlags, types::ValueRef};

use super::{EachRow, Engine, Link, Mode};
use crate::{
    batch::{Batch, Conflict},
    dialect::{Dialect, writes},
    error::{Error, OpenError},
    pulse,
    settings::Settings,
    value::{Columns, Row, Value},
};

/// Pages of the log after which it is copied into the database file.
const CHECKPOINT_PAGES: u32 = 2000;
/// The log's file is cut to this size after a checkpoint, in bytes.
const LOG_FILE_BYTES: u32 = 64 * 1024 * 1024;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 512;
/// Steps of a statement between two looks at the clock: about a millisecond.
const STEPS_PER_LOOK: i32 = 20_000;

/// Opens links to one database file.
pub(crate) struct SqliteEngine {
    path: PathBuf,
    page_cache_kib: u32,
    patience: Duration,
}

impl SqliteEngine {
    pub(crate) fn new(path: PathBuf, settings: &Settings) -> Self {
        Self { path, page_cache_kib: settings.page_cache_kib, patience: settings.patience }
    }

    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        pulse::set_patience(self.patience);
        connection.busy_handler(Some(pulse::wait_for_lock))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Foreign keys stay off: the writer's rows may be written in any order, and nothing
        // cascades behind its back.
        connection.execute_batch(&format!(
            "PRAGMA page_size = 4096;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
             PRAGMA journal_size_limit = {LOG_FILE_BYTES};
             PRAGMA cache_size = -{};
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;
             PRAGMA foreign_keys = OFF;",
            self.page_cache_kib
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
        Ok(Box::new(SqliteLink::new(connection, Some(lock))))
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

/// One connection.
struct SqliteLink {
    connection: Connection,
    /// What the texts of statements are on this engine, by the address of the text.
    texts: HashMap<(usize, usize), Text>,
    /// The statements that insert into tables, by the address of the description.
    inserts: HashMap<usize, String>,
    /// When the view must end, in milliseconds since `base`.
    deadline: Arc<AtomicU64>,
    /// The first failure of a statement in this change.
    failure: Option<Error>,
    mode: Option<Mode>,
    /// Whether the running change, and whether the group before it, has written anything.
    written: bool,
    written_before: bool,
    spoiled: Option<Error>,
    /// Keeps other processes out while the writer lives.
    _lock: Option<Flock<File>>,
}

/// A statement as this engine reads it.
struct Text {
    sql: String,
    /// Whether it may change rows.
    writes: bool,
}

/// The moment that deadlines are counted from.
fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

fn since_base(moment: Instant) -> u64 {
    let passed = moment.saturating_duration_since(base());
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

impl SqliteLink {
    fn new(connection: Connection, lock: Option<Flock<File>>) -> Self {
        base();
        Self {
            connection,
            texts: HashMap::new(),
            inserts: HashMap::new(),
            deadline: Arc::new(AtomicU64::new(u64::MAX)),
            failure: None,
            mode: None,
            written: false,
            written_before: false,
            spoiled: None,
            _lock: lock,
        }
    }

    /// Interrupts statements at the deadline.
    fn watch_clock(&mut self) -> Result<(), rusqlite::Error> {
        let deadline = Arc::clone(&self.deadline);
        self.connection.progress_handler(
            STEPS_PER_LOOK,
            Some(move || since_base(Instant::now()) > deadline.load(Ordering::Relaxed)),
        )
    }

    /// Runs a statement that belongs to the engine itself.
    fn command(&mut self, sql: &'static str) -> Result<(), Error> {
        let run = || -> Result<(), rusqlite::Error> {
            self.connection.prepare_cached(sql)?.raw_execute().map(drop)
        };
        run().map_err(|error| translate_error(&error))
    }

    /// Notes the failure of a statement, which the change cannot survive.
    fn note<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome
            && self.mode.is_some()
        {
            self.failure.get_or_insert_with(|| error.clone());
            // Some failures, a full disk for one, undo the whole transaction.
            if self.connection.is_autocommit() {
                self.spoiled.get_or_insert_with(|| error.clone());
            }
        }
        outcome
    }

    fn run(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), Error> {
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline != u64::MAX && since_base(Instant::now()) > deadline {
            return Err(Error::TooOld);
        }
        let text = self
            .texts
            .entry((sql.as_ptr().addr(), sql.len()))
            .or_insert_with(|| Text { sql: Dialect::Sqlite.translate(sql), writes: writes(sql) });
        self.written |= text.writes;
        let mut statement =
            self.connection.prepare_cached(&text.sql).map_err(|error| translate_error(&error))?;
        bind(&mut statement, params).map_err(|error| translate_error(&error))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| translate_error(&error))? {
            each(Row::new(&SqliteRow(row)))?;
        }
        Ok(())
    }
}

fn bind(
    statement: &mut rusqlite::Statement<'_>,
    params: &[Value<'_>],
) -> Result<(), rusqlite::Error> {
    use rusqlite::types::Value as Owned;

    for (index, value) in params.iter().enumerate() {
        let index = index + 1;
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
            Value::Int(int) => statement.raw_bind_parameter(index, int),
            Value::Bytes(bytes) => statement.raw_bind_parameter(index, bytes),
            Value::Ints(ints) => {
                let list = ints.iter().map(|int| Owned::Integer(*int)).collect::<Vec<_>>();
                statement.raw_bind_parameter(index, Rc::new(list))
            }
            Value::BytesList(list) => {
                let list = list.iter().map(|bytes| Owned::Blob(bytes.to_vec()));
                statement.raw_bind_parameter(index, Rc::new(list.collect::<Vec<_>>()))
            }
        }?;
    }
    Ok(())
}

struct SqliteRow<'r>(&'r rusqlite::Row<'r>);

impl Columns for SqliteRow<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.0.get_ref(column).map_err(|error| translate_error(&error))? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(int) => Ok(Some(int)),
            _ => Err(Error::Corrupt(format!("column {column} is no integer"))),
        }
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        match self.0.get_ref(column).map_err(|error| translate_error(&error))? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(Some(bytes)),
            _ => Err(Error::Corrupt(format!("column {column} is no bytes"))),
        }
    }
}

impl Link for SqliteLink {
    fn query(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Result<(), Error> {
        let outcome = self.run(sql, params, each);
        self.note(outcome)
    }

    fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error> {
        self.query(sql, params, &mut |_| Ok(()))?;
        Ok(self.connection.changes())
    }

    fn insert(&mut self, batch: &'static Batch, row: &[Value<'_>]) -> Result<(), Error> {
        self.written = true;
        let address = std::ptr::from_ref(batch).addr();
        let text = self.inserts.entry(address).or_insert_with(|| insert_text(batch));
        let run = || -> Result<usize, rusqlite::Error> {
            let mut statement = self.connection.prepare_cached(text)?;
            bind(&mut statement, row)?;
            statement.raw_execute()
        };
        let outcome = match run() {
            Ok(0) if batch.conflict == Conflict::Advance => Err(Error::Moved),
            outcome => outcome.map(drop).map_err(|error| translate_error(&error)),
        };
        self.note(outcome)
    }

    fn run_script(&mut self, sql: &str) -> Result<(), Error> {
        let text = Dialect::Sqlite.translate(sql);
        let outcome = self.connection.execute_batch(&text).map_err(|error| translate_error(&error));
        if outcome.is_err() && !self.connection.is_autocommit() {
            self.command("ROLLBACK")?;
        }
        outcome
    }

    fn begin_read(&mut self, deadline: Instant) -> Result<(), Error> {
        self.deadline.store(since_base(deadline), Ordering::Relaxed);
        self.command("BEGIN DEFERRED")
    }

    fn end_read(&mut self) {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        if let Err(error) = self.command("COMMIT") {
            tracing::warn!(%error, "a view did not end as it should");
            self.abandon_group();
        }
    }

    fn begin_group(&mut self, mode: Mode) -> Result<(), Error> {
        self.failure = None;
        self.spoiled = None;
        self.written = false;
        self.command("BEGIN IMMEDIATE")?;
        self.mode = Some(mode);
        Ok(())
    }

    fn begin_change(&mut self) -> Result<(), Error> {
        self.failure = None;
        self.written_before = self.written;
        if self.mode == Some(Mode::Alone) {
            return Ok(());
        }
        self.command("SAVEPOINT change")
    }

    fn keep_change(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        if self.mode == Some(Mode::Alone) {
            return Ok(());
        }
        let outcome = self.command("RELEASE change");
        self.note(outcome)
    }

    fn undo_change(&mut self) -> Result<(), Error> {
        self.written = self.written_before;
        if self.mode == Some(Mode::Alone) {
            // Nothing is left to commit, so the group will be abandoned.
            return Ok(());
        }
        let outcome =
            self.command("ROLLBACK TO change").and_then(|()| self.command("RELEASE change"));
        if let Err(error) = &outcome {
            self.spoiled.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    fn has_written(&self) -> bool {
        self.written
    }

    fn commit_group(&mut self, sql: &'static str, ints: &[i64]) -> Result<(), Error> {
        let params = ints.iter().map(|int| Value::Int(*int)).collect::<Vec<_>>();
        self.execute(sql, &params)?;
        self.command("COMMIT")?;
        self.mode = None;
        Ok(())
    }

    fn abandon_group(&mut self) {
        self.mode = None;
        if !self.connection.is_autocommit()
            && let Err(error) = self.command("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn spoiled(&self) -> Option<Error> {
        self.spoiled.clone()
    }

    fn reconnect(&mut self) -> Result<(), Error> {
        // There is no connection that could be lost.
        Ok(())
    }

    fn check(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The statement that writes one row.
fn insert_text(batch: &Batch) -> String {
    let table = batch.table;
    if batch.conflict == Conflict::Advance {
        let (key, _) = batch.columns[0];
        let (state, _) = batch.advanced()[0];
        let sets = (2..).zip(batch.advanced()).map(|(n, (name, _))| format!("{name} = ?{n}"));
        let (sets, last) = (sets.collect::<Vec<_>>().join(", "), batch.columns.len());
        return format!("UPDATE {table} SET {sets} WHERE {key} = ?1 AND {state} = ?{last}");
    }
    let values = (1..=batch.columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let (columns, conflict) = (batch.column_list(), batch.on_conflict());
    format!("INSERT INTO {table} ({columns}) VALUES ({values}){conflict}")
}

fn translate_error(error: &rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(cause, _) = error else {
        return Error::Statement(error.to_string());
    };
    let text = error.to_string();
    match cause.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Busy(text),
        ErrorCode::OperationInterrupted => Error::TooOld,
        ErrorCode::ConstraintViolation
            if matches!(
                cause.extended_code,
                rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                    | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                    | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID
            ) =>
        {
            Error::Exists(text)
        }
        ErrorCode::DiskFull => Error::Full(text),
        ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory => Error::Storage(text),
        _ => Error::Statement(text),
    }
}
