//! One connection to the embedded database.

use std::{
    collections::HashMap,
    fs::File,
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use nix::fcntl::Flock;
use rusqlite::{Connection, ErrorCode, types::ValueRef};

use super::log_file::LogFile;
use crate::{
    batch::{Batch, Conflict},
    dialect::{Dialect, writes},
    engine::{EachRow, Link, Mode},
    error::Error,
    value::{Columns, Row, Value},
};

/// Steps of a statement between two looks at the clock: about a millisecond.
const STEPS_PER_LOOK: i32 = 20_000;

/// One connection.
pub(super) struct SqliteLink {
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
    /// What the writer has: the lock that keeps other processes out, and the log's file.
    writer: Option<(Flock<File>, LogFile)>,
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
    pub(super) fn new(connection: Connection, writer: Option<(Flock<File>, LogFile)>) -> Self {
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
            writer,
        }
    }

    /// Interrupts statements at the deadline.
    pub(super) fn watch_clock(&mut self) -> Result<(), rusqlite::Error> {
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
        if let Some((_, log)) = &mut self.writer {
            log.keep_short(&self.connection);
        }
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

pub(super) fn translate_error(error: &rusqlite::Error) -> Error {
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
