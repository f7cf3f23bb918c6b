//! What tests of this crate and of those above it need: databases on both engines, and time and
//! randomness that a test controls. No part of the running server.

mod cluster;
mod database;
mod doubles;

use std::future::Future;

pub use cluster::{Cluster, Stop};
pub use database::{Database, Directory};
pub use doubles::{ManualClock, SeededRandom};

use crate::Store;

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
