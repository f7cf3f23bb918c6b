//! What the store counts about itself.

use super::table;
use crate::{
    Error, Opened, Settings, Store,
    testing::{for_each_database, for_each_engine},
};

#[tokio::test]
async fn what_is_done_is_counted() {
    for_each_database(|database| async move {
        // A thread that is late to wait for work counts as busy, and would get another beside it.
        let store = Store::open(Settings { readers: 1, ..database.settings() }).await.unwrap();
        table::create(&store).await;
        let before = store.stats();
        for number in 1..=3 {
            store.write(move |txn| table::insert(txn, number, "x")).await.unwrap();
        }
        // Neither a failure nor what changes nothing is a change.
        let failed = store.write(|txn| {
            table::insert(txn, 4, "x")?;
            Err::<(), _>(Error::corrupt("on purpose"))
        });
        failed.await.unwrap_err();
        store.write(|_| Ok::<_, Error>(())).await.unwrap();
        assert_eq!(table::numbers(&store).await, [1, 2, 3]);
        let after = store.stats();
        assert_eq!(after.changes - before.changes, 3);
        assert_eq!(after.groups - before.groups, 3);
        assert_eq!(after.commits.count - before.commits.count, 3);
        assert!(after.commits.sum_us > before.commits.sum_us);
        assert_eq!(after.read_waits.count - before.read_waits.count, 1);
        assert_eq!((after.queued_changes, after.queued_reads, after.readers), (0, 0, 1));
        assert_eq!(after.failed_groups, 0);
        assert_eq!(after.writer, Opened { opened: 1, lost: 0 });
        assert_eq!(after.reader, Opened { opened: 1, lost: 0 });
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_log_and_the_database_have_a_size() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let before = store.stats();
        assert_eq!((before.log_records, before.log_bytes), (0, 0));
        store
            .write(|txn| {
                txn.next_position();
                txn.record(crate::Change::Profile { user: crate::UserNumber(1) });
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let after = store.stats();
        assert_eq!(after.log_records, 1);
        assert!(after.log_bytes > 0);
        let empty = store.size_bytes().await.unwrap();
        assert!(empty > 4096, "{empty}");
        let text = "x".repeat(60_000);
        for number in 0..20 {
            let text = text.clone();
            store.write(move |txn| table::insert(txn, number, &text)).await.unwrap();
        }
        let full = store.size_bytes().await.unwrap();
        assert!(full > empty, "{empty} {full}");
    })
    .await;
}
