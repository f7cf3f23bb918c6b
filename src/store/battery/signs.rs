//! The writer's signs of life: none while it hangs, some whatever the database does.

use std::{sync::mpsc, time::Duration};

use parking_lot::Mutex;

use super::table;
use crate::{
    Error, Pulse, Settings, Step, Store, WriteTxn,
    testing::{Cluster, Database, Stop},
};

/// How long the database keeps the writer waiting here, and what is less by far, even on a busy
/// machine.
const WAIT: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(4);

async fn open(settings: Settings) -> (Store, Pulse) {
    let pulse = Pulse::default();
    let store = Store::open_watched(settings, pulse.clone()).await.unwrap();
    table::create(&store).await;
    (store, pulse)
}

/// Makes a change that takes its time: how it went, and the greatest age of the signs meanwhile.
async fn oldest_during(
    store: &Store,
    pulse: &Pulse,
    work: impl Fn(&mut WriteTxn<'_>) -> Result<(), Error> + Send + 'static,
) -> (Result<(), Error>, Duration) {
    let write = store.write(work);
    tokio::pin!(write);
    let mut oldest = Duration::ZERO;
    loop {
        tokio::select! {
            outcome = &mut write => return (outcome, oldest),
            () = tokio::time::sleep(Duration::from_millis(20)) => oldest = oldest.max(pulse.age()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_hangs_gives_none() {
    let database = Database::sqlite();
    let (store, pulse) = open(database.settings()).await;
    let (release, wait) = mpsc::sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let hanging = store.enqueue(move |_| Ok::<_, Error>(wait.lock().recv().is_ok()));
    let hanging = hanging.await.unwrap();
    tokio::time::sleep(SOON).await;
    assert!(pulse.age() > SOON / 2, "{:?}", pulse.age());
    release.send(()).unwrap();
    hanging.await.unwrap();
    store.write(|_| Ok::<_, Error>(())).await.unwrap();
    assert!(pulse.age() < SOON / 2, "{:?}", pulse.age());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_or_silent_is_no_hang() {
    let cluster = Cluster::start();
    let mut settings = Settings::new(cluster.create_database());
    settings.patience = WAIT;
    let (store, pulse) = open(settings).await;
    let sleep = |txn: &mut WriteTxn<'_>| txn.query("SELECT 1 FROM pg_sleep(6)", &[], |_| Ok(()));
    let silent = move |txn: &mut WriteTxn<'_>| sleep(txn).map(drop);
    let (outcome, oldest) = oldest_during(&store, &pulse, silent).await;
    assert!(outcome.is_ok() && oldest < SOON, "{outcome:?} {oldest:?}");
    cluster.stop(Stop::Fast);
    let write = |txn: &mut WriteTxn<'_>| table::insert(txn, 1, "x").map(drop);
    let (outcome, oldest) = oldest_during(&store, &pulse, write).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))) && oldest < SOON, "{oldest:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_else_has_locked_is_no_hang() {
    let database = Database::sqlite();
    let mut settings = database.settings();
    settings.patience = WAIT;
    let path = settings.url.trim_start_matches("sqlite://").to_owned();
    let (store, pulse) = open(settings).await;
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = |txn: &mut WriteTxn<'_>| table::insert(txn, 1, "x").map(drop);
    let (outcome, oldest) = oldest_during(&store, &pulse, write).await;
    assert!(matches!(outcome, Err(Error::Busy(_))) && oldest < SOON, "{outcome:?} {oldest:?}");
    drop(other);
    store.close().await;
}

#[tokio::test]
async fn the_steps_of_the_schema_are_told_and_their_end() {
    for database in [Database::sqlite(), Database::postgres()] {
        let pulse = Pulse::default();
        let step = pulse.step();
        let store = Store::open_watched(database.settings(), pulse.clone()).await.unwrap();
        let told = step.borrow().unwrap();
        assert_eq!(told, Step { from: 0, version: told.last, last: told.last, is_done: true });
        store.close().await;
        let again = Pulse::default();
        let store = Store::open_watched(database.settings(), again.clone()).await.unwrap();
        assert_eq!(*again.step().borrow(), None, "nothing was to be done");
        store.close().await;
    }
}

#[tokio::test]
async fn that_there_is_no_room_is_told_until_there_is_some() {
    let database = Database::sqlite();
    let (store, pulse) = open(database.settings()).await;
    let mut full = pulse.full();
    assert!(!*full.borrow());
    let limit = |pages: i64| {
        let pragma = if pages == 0 { "PRAGMA max_page_count = 9000000" } else { SMALL };
        store.write(move |txn| txn.query(pragma, &[], |row| row.int(0)).map(drop))
    };
    limit(1).await.unwrap();
    let large = |txn: &mut WriteTxn<'_>| table::insert(txn, 1, &"x".repeat(1_000_000));
    let outcome = store.write(large).await;
    assert!(matches!(outcome, Err(Error::Full(_))), "{outcome:?}");
    assert!(*full.borrow_and_update());
    limit(0).await.unwrap();
    store.write(large).await.unwrap();
    assert!(full.has_changed().unwrap() && !*full.borrow());
    store.close().await;
}

/// Less than the large change needs.
const SMALL: &str = "PRAGMA max_page_count = 200";
