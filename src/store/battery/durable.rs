//! What the live connections say about durability.

use crate::{Row, Snapshot, testing::Database};

fn ask(snapshot: &mut Snapshot<'_>, sql: &'static str) -> Result<String, crate::Error> {
    let text = |row: Row<'_>| match row.int(0) {
        Ok(int) => Ok(int.to_string()),
        Err(_) => row.text(0).map(str::to_owned),
    };
    snapshot.query_one(sql, &[], text)
}

#[tokio::test]
async fn the_embedded_engine_syncs_at_every_commit() {
    let store = Database::sqlite().open().await;
    store
        .write(|txn| {
            assert_eq!(ask(txn, "PRAGMA synchronous")?, "2");
            assert_eq!(ask(txn, "PRAGMA journal_mode")?, "wal");
            assert_eq!(ask(txn, "PRAGMA page_size")?, "4096");
            Ok::<_, crate::Error>(())
        })
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test]
async fn the_server_engine_syncs_at_every_commit() {
    let store = Database::postgres().open().await;
    store
        .write(|txn| {
            assert_eq!(ask(txn, "SELECT current_setting('synchronous_commit')")?, "on");
            assert_eq!(ask(txn, "SELECT current_setting('fsync')")?, "on");
            let isolation = ask(txn, "SELECT current_setting('transaction_isolation')")?;
            assert_eq!(isolation, "read committed");
            Ok::<_, crate::Error>(())
        })
        .await
        .unwrap();
    store
        .read(|snapshot| {
            let isolation = ask(snapshot, "SELECT current_setting('transaction_isolation')")?;
            assert_eq!(isolation, "repeatable read");
            assert_eq!(ask(snapshot, "SELECT current_setting('transaction_read_only')")?, "on");
            Ok::<_, crate::Error>(())
        })
        .await
        .unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_server_whose_default_is_not_durable_is_overruled() {
    let database = Database::postgres();
    let settings = database.settings();
    let name = settings.url.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    let cluster = crate::testing::Cluster::shared();
    cluster.run_sql(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let store = database.open().await;
    let found = store.write(|txn| ask(txn, "SELECT current_setting('synchronous_commit')")).await;
    assert_eq!(found.unwrap(), "on");
    store.close().await;
}
