//! The database goes away, is locked, or is full, while changes are made.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use proto::number::{Position, UserNumber};

use super::{
    proxy::{Cut, Proxy},
    table,
};
use crate::{
    Change, Error, Settings, Snapshot, Store, params,
    testing::{Cluster, Database, SeededRandom, Stop},
};

/// Writes until told to stop; every change must succeed. Gives back the numbers that were
/// acknowledged.
async fn write_on(store: Store, writer: i64, stop: Arc<AtomicBool>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = writer * 1_000_000 + i64::try_from(acknowledged.len()).unwrap();
        store
            .write(move |txn| {
                txn.find_user(ruma::user_id!("@alice:example.org"))?;
                table::insert(txn, number, "x")?;
                txn.record(Change::Profile { user: UserNumber(number) });
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        acknowledged.push(number);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_loses_nothing_and_doubles_nothing() {
    let cluster = Cluster::start();
    let store = Store::open(Settings::new(cluster.create_database())).await.unwrap();
    table::create(&store).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    store.add_listener(Arc::new(move |records| {
        listener.lock().extend(records.iter().map(|record| record.position.0));
    }));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..6).map(|n| tokio::spawn(write_on(store.clone(), n, Arc::clone(&stop)))).collect();
    // The slow ones are in the middle of a read whenever the server goes.
    let readers = [false, true, true]
        .map(|slowly| tokio::spawn(read_on(store.clone(), Arc::clone(&stop), slowly)));
    let random = SeededRandom::new(3);
    let mut cluster = cluster;
    for restart in 0..table::rounds(8) {
        tokio::time::sleep(Duration::from_millis(100 + random.below(300))).await;
        let how = if restart % 2 == 0 { Stop::Immediate } else { Stop::Fast };
        let restarted = tokio::task::spawn_blocking(move || {
            cluster.stop(how);
            cluster.resume();
            cluster
        });
        cluster = restarted.await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        let written = writer.await.unwrap();
        assert!(!written.is_empty());
        acknowledged.extend(written);
    }
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    acknowledged.sort_unstable();
    assert_eq!(table::numbers(&store).await, acknowledged);
    table::assert_no_gaps(&store).await;
    assert_eq!(*told.lock(), (1..=store.position().0).collect::<Vec<_>>());
    store.close().await;
}

/// Reads until told to stop; no read may fail, and every answer must be whole. Gives back how many
/// there were.
async fn read_on(store: Store, stop: Arc<AtomicBool>, slowly: bool) -> u64 {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        let read = move |snapshot: &mut Snapshot<'_>| {
            let position = snapshot.position()?;
            if slowly {
                snapshot.query("SELECT 1 FROM pg_sleep(0.1)", &[], |row| row.int(0))?;
            }
            Ok::<_, Error>((position, table::list(snapshot)?))
        };
        let (position, items) = store.read(read).await.unwrap();
        assert_eq!(position.0, items.len() as u64);
        answers += 1;
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_commit_is_looked_up() {
    let cluster = Cluster::shared();
    let proxy = Proxy::start(cluster.socket());
    for cut in [Cut::Before, Cut::After, Cut::Meanwhile] {
        let store =
            Store::open(Settings::new(proxy.url(&cluster.create_database()))).await.unwrap();
        table::create(&store).await;
        for number in 0..6 {
            proxy.arm(cut);
            let work = move |txn: &mut crate::WriteTxn<'_>| {
                // A change that reads is a transaction of many statements, another one is a single
                // statement.
                if number % 2 == 0 {
                    assert_eq!(table::list(txn)?.len(), usize::try_from(number).unwrap());
                }
                table::insert(txn, number, "x")
            };
            store.write(work).await.unwrap();
            assert!(proxy.has_cut(), "{cut:?} was not tried");
        }
        assert_eq!(table::numbers(&store).await, [0, 1, 2, 3, 4, 5]);
        table::assert_no_gaps(&store).await;
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_fails_changes_with_a_clear_error() {
    let cluster = Cluster::start();
    let mut settings = Settings::new(cluster.create_database());
    settings.patience = Duration::from_millis(500);
    let store = Store::open(settings).await.unwrap();
    table::create(&store).await;
    store.write(|txn| table::insert(txn, 1, "x")).await.unwrap();
    cluster.stop(Stop::Fast);
    let outcome = store.write(|txn| table::insert(txn, 2, "x")).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    let outcome = table::position(&store).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_) | Error::Lost(_))), "{outcome:?}");
    cluster.resume();
    store.write(|txn| table::insert(txn, 3, "x")).await.unwrap();
    assert_eq!(table::numbers(&store).await, [1, 3]);
    table::assert_no_gaps(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_in_doubt_is_published_once_it_is_known_to_count() {
    let cluster = Cluster::shared();
    let proxy = Proxy::start(cluster.socket());
    let mut settings = Settings::new(proxy.url(&cluster.create_database()));
    settings.patience = Duration::from_millis(400);
    let store = Store::open(settings).await.unwrap();
    table::create(&store).await;
    let change = |number: i64| {
        store.write(move |txn| {
            table::insert(txn, number, "x")?;
            txn.record(Change::Profile { user: UserNumber(number) });
            Ok::<_, Error>(())
        })
    };
    proxy.arm_and_close(Cut::After);
    let outcome = change(1).await;
    assert!(matches!(outcome, Err(Error::Unknown(_))), "{outcome:?}");
    let outcome = change(2).await;
    assert!(matches!(outcome, Err(Error::Unknown(_))), "{outcome:?}");
    assert_eq!(store.position(), Position(0));
    proxy.open();
    change(3).await.unwrap();
    assert_eq!(table::numbers(&store).await, [1, 3]);
    table::assert_no_gaps(&store).await;
    let told = store.log().since(Position(0)).unwrap();
    let positions: Vec<_> = told.iter().map(|record| record.position.0).collect();
    assert_eq!(positions, [1, 2]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_an_absent_server_does_not_wait_in_turn() {
    let cluster = Cluster::start();
    let mut settings = Settings::new(cluster.create_database());
    settings.patience = Duration::from_secs(1);
    let store = Store::open(settings).await.unwrap();
    table::create(&store).await;
    cluster.stop(Stop::Immediate);
    let begun = std::time::Instant::now();
    let changes: Vec<_> = (0..1000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(
                async move { store.write(move |txn| table::insert(txn, number, "x")).await },
            )
        })
        .collect();
    for change in changes {
        assert!(change.await.unwrap().is_err());
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    cluster.resume();
    store.write(|txn| table::insert(txn, 1, "x")).await.unwrap();
    table::assert_no_gaps(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_overtaken_writes_no_more() {
    let cluster = Cluster::shared();
    let proxy = Proxy::start(cluster.socket());
    let url = cluster.create_database();
    let mut settings = Settings::new(proxy.url(&url));
    settings.patience = Duration::from_millis(500);
    let first = Store::open(settings).await.unwrap();
    table::create(&first).await;
    // The network ends its sessions, and another node takes over.
    proxy.close();
    let second = Store::open(Settings::new(&url)).await.unwrap();
    second.write(|txn| table::insert(txn, 1, "x")).await.unwrap();
    proxy.open();
    let outcome = first.write(|txn| table::insert(txn, 2, "x")).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    second.close().await;
    for number in 2..4 {
        let outcome = first.write(move |txn| table::insert(txn, number, "x")).await;
        assert!(matches!(outcome, Err(Error::Superseded(_))), "{outcome:?}");
    }
    assert!(matches!(first.wait_for_end().await, Error::Superseded(_)));
    first.close().await;
    let third = Store::open(Settings::new(&url)).await.unwrap();
    assert_eq!(table::numbers(&third).await, [1]);
    third.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_is_waited_for() {
    let database = Database::sqlite();
    let mut settings = database.settings();
    settings.patience = Duration::from_secs(1);
    let path = settings.url.trim_start_matches("sqlite://").to_owned();
    let store = Store::open(settings).await.unwrap();
    table::create(&store).await;
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = store.write(|txn| table::insert(txn, 1, "x")).await;
    assert!(matches!(outcome, Err(Error::Busy(_))), "{outcome:?}");
    let commit = store.enqueue(|txn| table::insert(txn, 2, "x")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    other.execute_batch("COMMIT").unwrap();
    commit.await.unwrap();
    assert_eq!(table::numbers(&store).await, [2]);
    table::assert_no_gaps(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_fails_what_needs_space_and_nothing_else() {
    let database = Database::sqlite();
    let store = database.open().await;
    table::create(&store).await;
    // The file may not grow by more than a few pages.
    store
        .write(|txn| {
            let pages = txn.query_one("PRAGMA page_count", &[], |row| row.int(0))?;
            assert!(pages < 200);
            txn.query("PRAGMA max_page_count = 200", &[], |row| row.int(0))
        })
        .await
        .unwrap();
    let mut commits = Vec::new();
    for number in 0..20 {
        let text = if number == 10 { "x".repeat(1_000_000) } else { "x".to_owned() };
        let work = move |txn: &mut crate::WriteTxn<'_>| table::insert(txn, number, &text);
        commits.push(store.enqueue(work).await.unwrap());
    }
    let mut there = Vec::new();
    for (number, commit) in (0..).zip(commits) {
        match commit.await {
            Ok(_) => there.push(number),
            Err(error) => assert!(matches!(error, Error::Full(_)), "{error:?}"),
        }
    }
    assert!(!there.contains(&10));
    assert_eq!(table::numbers(&store).await, there);
    store.write(|txn| table::insert(txn, 100, "x")).await.unwrap();
    table::assert_no_gaps(&store).await;
    let sql = "DELETE FROM battery WHERE number = $1";
    store.write(move |txn| txn.execute(sql, params![100])).await.unwrap();
    store.close().await;
}
