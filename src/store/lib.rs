//! The store: one order of durable changes, written by one writer, read through snapshots, on
//! `SQLite` and on `PostgreSQL` behind one text.
//!
//! A change is a closure over [`WriteTxn`]; the writer gathers what is waiting into one
//! transaction, commits it durably, and only then publishes and answers. A read is a closure over
//! [`Snapshot`], a consistent view. Both run on threads of the store, where they may wait for the
//! database. SQL stands only in this crate, and [`dialect`] says which.

pub mod absent;
mod batch;
#[cfg(test)]
mod battery;
mod change;
mod counter;
pub mod dialect;
mod engine;
mod error;
mod job;
pub mod log;
mod names;
pub mod numbers;
mod promises;
mod pulse;
mod queue;
mod reader;
pub mod room;
mod schema;
mod settings;
mod shared;
mod snapshot;
mod stats;
mod store;
pub mod sync;
#[doc(hidden)]
pub mod testing;
pub mod user;
mod value;
mod write_txn;
mod writer;

pub use batch::{Batch, Conflict, Kind};
pub use counter::Sequence;
pub use error::{Error, OpenError};
pub use job::Commit;
pub use log::{Change, Log, Record};
pub use proto::number::{
    EventNumber, Position, RoomNumber, ServerNumber, StateGroup, StateKeyNumber, UserNumber,
};
pub use pulse::{Pulse, Step};
pub use settings::{Settings, check_url, names_network};
pub use shared::Listener;
pub use snapshot::Snapshot;
pub use stats::{CacheStats, Lookups, Opened, Stats};
pub use store::Store;
pub use value::{Row, ToValue, Value};
pub use write_txn::WriteTxn;
