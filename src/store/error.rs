//! The store's errors: few, cloneable (a failed commit is told to every change of its group), free
//! of the drivers' types.

use std::path::PathBuf;

/// Why a read or a change did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store was closed, or its writer has ended.
    #[error("the store is closed")]
    Closed,
    /// Somebody else holds a lock on the database for longer than the store waits.
    #[error("the database is locked by somebody else: {0}")]
    Busy(String),
    /// The database could not be reached within the time that the store is patient.
    #[error("the database is not reachable: {0}")]
    Unavailable(String),
    /// The connection was lost in the middle of a read or a statement.
    #[error("the connection to the database was lost: {0}")]
    Lost(String),
    /// A row with this key is there already.
    #[error("a row with this key exists: {0}")]
    Exists(String),
    /// A row is not there any more as the change expected it.
    #[error("a row has changed meanwhile")]
    Moved,
    /// There is no room left for what was to be written.
    #[error("there is no room left for the database: {0}")]
    Full(String),
    /// A file cannot be read or written, or the database is damaged.
    #[error("the database cannot be read or written: {0}")]
    Storage(String),
    /// A statement was refused by the database for any other reason, which is a defect of ours.
    #[error("the database refused a statement: {0}")]
    Statement(String),
    /// A row is not there that must be, or what is stored cannot be understood.
    #[error("unexpected contents of the database: {0}")]
    Corrupt(String),
    /// A snapshot was held for longer than its greatest age.
    #[error("the read took longer than its greatest age")]
    TooOld,
    /// The read or the change panicked; nothing of it was kept.
    #[error("a panic ended this read or change")]
    Panicked,
    /// The change was sent to be committed, and nobody can say whether it was.
    #[error("whether the change was committed could not be found out: {0}")]
    Unknown(String),
    /// Another node wrote to the database while this one had lost its lock; this node must start
    /// again.
    #[error("another node has taken over the database: {0}")]
    Superseded(String),
}

impl Error {
    /// Says that what is stored cannot be understood.
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}

/// Why a store could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The database's address is none that the store understands.
    #[error("the database url is not usable: {0}")]
    Url(String),
    /// The database is not there, or does not let us in.
    #[error("cannot open the database {place}: {reason}")]
    Connect {
        /// File or address, without a password.
        place: String,
        /// What the operating system or the database said.
        reason: String,
    },
    /// Another node uses this database.
    #[error("the database {place} is in use by another node ({holder})")]
    InUse {
        /// File or address, without a password.
        place: String,
        /// What is known about the holder of the lock.
        holder: String,
    },
    /// The database's schema is newer than this program.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: \
         install the newer program again"
    )]
    NewerSchema {
        /// Version that the database has.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// The database would not promise that what it acknowledged is on disk.
    #[error("the database is not durable: setting {setting} is {found}, not {wanted}")]
    NotDurable {
        /// Name of the setting.
        setting: &'static str,
        /// What was read back.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A schema step or another first statement failed.
    #[error("cannot prepare the database: {0}")]
    Prepare(#[from] Error),
    /// A thread or file that the store needs could not be had.
    #[error("cannot use {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
}
