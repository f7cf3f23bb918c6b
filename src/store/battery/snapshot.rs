//! Reads: one moment, a greatest age, no writing.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use proto::number::Position;

use super::table;
use crate::{
    Error, Store, params,
    testing::{for_each_database, for_each_engine},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_stays_in_its_moment() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store.write(|txn| table::insert(txn, 1, "old")).await.unwrap();
        let (go_on, wait) = mpsc::sync_channel::<()>(1);
        let (entered, mut inside) = tokio::sync::mpsc::channel(1);
        let reader = store.clone();
        let reading = tokio::spawn(async move {
            reader
                .read(move |snapshot| {
                    let position = snapshot.position()?;
                    let _ = entered.try_send(());
                    let _ = wait.recv();
                    Ok::<_, Error>((position, table::list(snapshot)?))
                })
                .await
        });
        inside.recv().await.unwrap();
        store
            .write(|txn| {
                txn.execute("DELETE FROM battery", &[])?;
                table::insert(txn, 2, "new")
            })
            .await
            .unwrap();
        drop(go_on);
        let (position, items) = reading.await.unwrap().unwrap();
        assert_eq!(position, Position(1));
        assert_eq!(items, [(1, Position(1), "old".to_owned())]);
        assert_eq!(table::numbers(&store).await, [2]);
    })
    .await;
}

#[tokio::test]
async fn a_read_cannot_write() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let sql = "INSERT INTO battery VALUES (1, 1, NULL) RETURNING number";
        let outcome = store.read(move |s| s.query(sql, &[], |row| row.int(0))).await;
        assert!(outcome.is_err());
        assert!(table::numbers(&store).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_read_that_panics_hurts_nobody() {
    for_each_engine(|store: Store| async move {
        table::create(&store).await;
        for _ in 0..10 {
            let outcome = store
                .read(|snapshot| -> Result<(), Error> {
                    table::list(snapshot)?;
                    panic!("on purpose")
                })
                .await;
            assert!(matches!(outcome, Err(Error::Panicked)));
        }
        let broken = store.read(|s| s.query("SELECT x FROM nowhere", &[], |row| row.int(0))).await;
        assert!(matches!(broken, Err(Error::Statement(_))));
        assert!(table::numbers(&store).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_read_has_a_greatest_age() {
    for_each_database(|database| async move {
        let mut settings = database.settings();
        settings.snapshot_age = Duration::from_millis(300);
        let store = Store::open(settings).await.unwrap();
        let begun = Instant::now();
        // Counts for some minutes.
        let endless = "WITH RECURSIVE number (n) AS (SELECT CAST(1 AS BIGINT)
            UNION ALL SELECT n + 1 FROM number WHERE n < 1000000000) SELECT max(n) FROM number";
        let outcome = store.read(move |s| s.query_one(endless, &[], |row| row.int(0))).await;
        assert!(matches!(outcome, Err(Error::TooOld)), "{outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        let outcome = store
            .read(move |snapshot| {
                snapshot.position()?;
                let until = Instant::now() + Duration::from_millis(400);
                while Instant::now() < until {
                    std::thread::yield_now();
                }
                snapshot.query_one("SELECT CAST($1 AS BIGINT)", params![1], |row| row.int(0))
            })
            .await;
        assert!(matches!(outcome, Err(Error::TooOld)), "{outcome:?}");
        assert_eq!(table::position(&store).await.unwrap(), 0);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_readers_than_threads_all_get_their_turn() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store.write(|txn| table::insert(txn, 1, "x")).await.unwrap();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { table::numbers(&store).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), [1]);
        }
    })
    .await;
}
