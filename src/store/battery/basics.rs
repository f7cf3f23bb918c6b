//! One change, one read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use proto::number::{Position, StateKeyNumber, UserNumber};
use ruma::user_id;

use super::table::{self, NEW};
use crate::{
    Change, Error, Sequence, Snapshot, Store, numbers, params,
    testing::{count_groups, for_each_database, for_each_engine},
};

#[tokio::test]
async fn a_change_is_there_once_it_is_answered() {
    for_each_engine(|store| async move {
        let number = store
            .write(|txn| {
                let user = txn.intern_user(user_id!("@alice:example.org"))?;
                txn.next_position();
                txn.record(Change::Profile { user });
                Ok::<_, Error>(user)
            })
            .await
            .unwrap();
        assert_eq!(number, UserNumber(1));
        assert_eq!(store.position(), Position(1));
        assert_eq!(store.log().since(Position(0)).unwrap().len(), 1);
        let found = store
            .read(move |snapshot| {
                assert_eq!(snapshot.position()?, Position(1));
                snapshot.load_user(number)
            })
            .await
            .unwrap();
        assert_eq!(found, user_id!("@alice:example.org"));
    })
    .await;
}

#[tokio::test]
async fn a_failed_change_leaves_nothing() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let refused = store
            .write(|txn| {
                table::insert(txn, 1, "never")?;
                txn.intern_user(user_id!("@nobody:example.org"))?;
                txn.record(Change::Profile { user: UserNumber(1) });
                txn.on_commit(Box::new(|| panic!("called for a change that failed")));
                Err::<(), _>(Error::corrupt("on purpose"))
            })
            .await;
        assert!(matches!(refused, Err(Error::Corrupt(_))));
        let panicked = store
            .write(|txn| -> Result<(), Error> {
                table::insert(txn, 1, "never")?;
                panic!("on purpose")
            })
            .await;
        assert!(matches!(panicked, Err(Error::Panicked)));
        assert_eq!(store.position(), Position(0));
        assert!(store.numbers().cached_user(user_id!("@nobody:example.org")).is_none());
        store.write(|txn| table::insert(txn, 1, "first")).await.unwrap();
        assert_eq!(table::items(&store).await, [(1, Position(1), "first".to_owned())]);
        let user = store.write(|txn| txn.intern_user(user_id!("@alice:example.org"))).await;
        assert_eq!(user.unwrap(), UserNumber(1));
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_failed_cannot_be_ignored() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store.write(|txn| table::insert(txn, 1, "first")).await.unwrap();
        let outcome = store
            .write(|txn| {
                table::insert(txn, 2, "second")?;
                let sql = "INSERT INTO battery VALUES (1, 0, NULL)";
                assert!(matches!(txn.execute(sql, &[]), Err(Error::Exists(_))));
                Ok::<_, Error>(())
            })
            .await;
        assert!(matches!(outcome, Err(Error::Exists(_))), "{outcome:?}");
        let outcome = store.write(|txn| txn.execute("SELECT nothing FROM nowhere", &[])).await;
        assert!(matches!(outcome, Err(Error::Statement(_))), "{outcome:?}");
        assert_eq!(table::numbers(&store).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_there_fails_the_change() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store.write(|txn| table::insert(txn, 1, "first")).await.unwrap();
        let outcome = store.write(|txn| table::insert(txn, 1, "again")).await;
        assert!(matches!(outcome, Err(Error::Exists(_))), "{outcome:?}");
        let twice = store
            .write(|txn| table::insert(txn, 2, "once").and_then(|_| table::insert(txn, 2, "twice")))
            .await;
        assert!(matches!(twice, Err(Error::Exists(_))), "{twice:?}");
        assert_eq!(table::numbers(&store).await, [1]);
        assert_eq!(store.stats().failed_groups, 0, "it is no failure of the store");
        table::assert_no_gaps(&store).await;
    })
    .await;
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let texts = ["", "plain", "nul \u{0} inside", "\u{1f600}", "\u{0}"];
        let ints = [i64::MIN, -1, 0, 1, i64::MAX];
        store
            .write(move |txn| {
                for (int, text) in ints.iter().zip(texts) {
                    txn.insert(&NEW, params![*int, 7_u64, text])?;
                }
                txn.execute("INSERT INTO battery VALUES ($2, $1, $3)", params![8, 5, None::<&str>])
            })
            .await
            .unwrap();
        let sql = "SELECT number, text FROM battery WHERE position = $1 ORDER BY number";
        let found: Vec<(i64, String)> = store
            .read(move |snapshot| {
                snapshot.query(sql, params![7], |row| Ok((row.int(0)?, row.text(1)?.to_owned())))
            })
            .await
            .unwrap();
        let expected: Vec<_> = ints.into_iter().zip(texts.map(str::to_owned)).collect();
        assert_eq!(found, expected);
        let null = "SELECT text, position FROM battery WHERE number = 5 AND text IS NULL";
        let read = |row: crate::Row<'_>| Ok((row.bytes_optional(0)?.is_none(), row.int(1)?));
        let found = store.read(move |snapshot| snapshot.query_one(null, &[], read)).await;
        assert_eq!(found.unwrap(), (true, 8));
    })
    .await;
}

#[tokio::test]
async fn lists_are_parameters() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store
            .write(|txn| {
                for (number, text) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
                    table::insert(txn, number, text)?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        store.read(read_lists).await.unwrap();
    })
    .await;
}

fn read_lists(snapshot: &mut Snapshot<'_>) -> Result<(), Error> {
    let by_ints = "SELECT number FROM battery WHERE number IN_INTS($1) ORDER BY number";
    let numbers = snapshot.query(by_ints, params![[4_i64, 2, 9]], |row| row.int(0))?;
    assert_eq!(numbers, [2, 4]);
    let none = snapshot.query(by_ints, params![Vec::<i64>::new()], |row| row.int(0))?;
    assert!(none.is_empty());
    let by_bytes = "SELECT number FROM battery WHERE text IN_BYTES($1) AND number > $2";
    let wanted = vec!["c", "a", "\u{0}"];
    assert_eq!(snapshot.query(by_bytes, params![wanted, 1], |row| row.int(0))?, [3]);
    let joined = "SELECT battery.number FROM EACH_BYTES($1) AS wanted
        JOIN battery ON battery.text = wanted.value ORDER BY battery.number DESC";
    assert_eq!(snapshot.query(joined, params![vec!["a", "d"]], |row| row.int(0))?, [4, 1]);
    let each = "SELECT wanted.value FROM EACH_INTS($1) AS wanted
        WHERE NOT EXISTS (SELECT 1 FROM battery WHERE number = wanted.value)";
    assert_eq!(snapshot.query(each, params![vec![1_i64, 11]], |row| row.int(0))?, [11]);
    let literal = "SELECT EXISTS (SELECT 1 FROM battery WHERE text = BYTES('c'))";
    assert!(snapshot.query_one(literal, &[], |row| row.flag(0))?);
    Ok(())
}

#[tokio::test]
async fn a_change_that_writes_through_a_query_counts() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let sql = "INSERT INTO battery VALUES ($1, 1, BYTES('x')) RETURNING number";
        let number = store.write(move |txn| txn.query_one(sql, params![5], |row| row.int(0))).await;
        assert_eq!(number.unwrap(), 5);
        assert_eq!(table::numbers(&store).await, [5]);
        let changed = store
            .write(|txn| {
                txn.execute("UPDATE battery SET position = 2 WHERE number > $1", params![0])
            })
            .await;
        assert_eq!(changed.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_change_without_rows_commits_nothing() {
    for_each_engine(|store| async move {
        let before = count_groups(&store).await;
        let called = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&called);
        store
            .write(move |txn| {
                let seen = Arc::clone(&seen);
                txn.on_commit(Box::new(move || {
                    seen.fetch_add(1, Ordering::Relaxed);
                }));
                txn.find_user(user_id!("@alice:example.org"))
            })
            .await
            .unwrap();
        assert_eq!(called.load(Ordering::Relaxed), 1);
        assert_eq!(count_groups(&store).await, before);
    })
    .await;
}

#[tokio::test]
async fn counters_and_names_survive_a_restart() {
    for_each_database(|database| async move {
        let store = database.open().await;
        let first = store.write(intern).await.unwrap();
        store.close().await;
        assert!(matches!(store.write(intern).await, Err(Error::Closed)));
        assert!(matches!(table::position(&store).await, Err(Error::Closed)));

        let store = database.open().await;
        assert_eq!(store.position(), Position(1));
        assert!(store.log().since(Position(0)).is_none());
        assert!(store.log().since(Position(1)).unwrap().is_empty());
        let (again, number) = store
            .write(|txn| Ok::<_, Error>((intern(txn)?, txn.next_number(Sequence::Item))))
            .await
            .unwrap();
        assert_eq!(again, first);
        assert_eq!(number, 3);
        let pair = store.read(move |snapshot| snapshot.load_state_key(first.1)).await.unwrap();
        assert_eq!((&*pair.event_type, &*pair.state_key), ("m.room.member", "@a:b"));
        store.close().await;
    })
    .await;
}

fn intern(txn: &mut crate::WriteTxn<'_>) -> Result<(UserNumber, StateKeyNumber), Error> {
    txn.next_position();
    txn.next_number(Sequence::Item);
    let user = txn.intern_user(user_id!("@alice:example.org"))?;
    Ok((user, txn.intern_state_key("m.room.member", "@a:b")?))
}

#[tokio::test]
async fn well_known_pairs_have_their_numbers() {
    for_each_engine(|store| async move {
        let sql = "SELECT number FROM state_key WHERE type = $1 AND state_key = BYTES('')";
        let found = store
            .read(move |snapshot| {
                let by_hand = snapshot.query_one(sql, params!["m.room.topic"], |row| row.int(0))?;
                assert_eq!(by_hand, numbers::TOPIC.0);
                snapshot.find_state_key("m.room.topic", "")
            })
            .await
            .unwrap();
        assert_eq!(found, Some(numbers::TOPIC));
        let new = store.write(|txn| txn.intern_state_key("m.room.topic", "x")).await.unwrap();
        assert_eq!(new, StateKeyNumber(1001));
    })
    .await;
}

#[tokio::test]
async fn a_number_enters_a_cache_only_after_its_commit() {
    for_each_engine(|store: Store| async move {
        let alice = user_id!("@alice:example.org");
        let inside = store.clone();
        store
            .write(move |txn| {
                let number = txn.intern_user(alice)?;
                assert_eq!(txn.find_user(alice)?, Some(number));
                assert_eq!(txn.load_user(number)?, alice);
                assert_eq!(txn.intern_user(alice)?, number);
                assert!(inside.numbers().cached_user(alice).is_none());
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        assert_eq!(store.numbers().cached_user(alice), Some(UserNumber(1)));
        assert_eq!(store.numbers().cached_user_id(UserNumber(1)).unwrap(), alice);
    })
    .await;
}
