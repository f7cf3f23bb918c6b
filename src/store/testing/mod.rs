//! What tests of this crate and of those above it need: databases on both engines, and time and
//! randomness that a test controls. No part of the running server.

mod cluster;
mod database;
mod directory;
mod doubles;
mod hold;

use std::future::Future;

pub use cluster::{Cluster, Stop};
pub use database::Database;
pub use directory::Directory;
pub use doubles::{ManualClock, SeededRandom};
pub use hold::SchemaHold;

use crate::{Settings, Store};

/// Runs a test on a new, empty store of each engine, and closes the stores. The engine's name is
/// printed before, so that a failure can be told apart.
pub async fn for_each_engine<F, T>(test: F)
where
    F: Fn(Store) -> T,
    T: Future<Output = ()>,
{
    for database in [Database::sqlite(), Database::postgres()] {
        println!("on {}", database.settings().url);
        let store = database.open().await;
        test(store.clone()).await;
        store.close().await;
    }
}

/// Runs a test on a new, empty database of each engine, for tests that open the store themselves.
pub async fn for_each_database<F, T>(test: F)
where
    F: Fn(Database) -> T,
    T: Future<Output = ()>,
{
    for database in [Database::sqlite(), Database::postgres()] {
        println!("on {}", database.settings().url);
        test(database).await;
    }
}

/// How many groups of changes were committed.
///
/// # Panics
/// If it cannot be read.
pub async fn count_groups(store: &Store) -> i64 {
    let sql = "SELECT batch FROM counter WHERE id = 1";
    let count = store.read(|snapshot| snapshot.query_one(sql, &[], |row| row.int(0)));
    count.await.expect("a test's database can be read")
}

/// Makes a database look as if a much newer program had used it.
///
/// # Panics
/// If it cannot be opened or written.
pub async fn make_newer(settings: Settings) {
    let store = Store::open(settings).await.expect("a test's database opens");
    let sql = "UPDATE schema_version SET version = version + 1000 WHERE id = 1";
    store.write(move |txn| txn.execute(sql, &[])).await.expect("it can be written");
    store.close().await;
}
