//! Many changes in one transaction.

use std::sync::{Arc, mpsc};

use parking_lot::Mutex;
use proto::number::{Position, UserNumber};
use ruma::UserId;

use super::table::{self, FIRST, LAST};
use crate::{
    Change, Commit, Error, Store, params,
    testing::{count_groups, for_each_engine},
};

/// Holds the writer up, so that everything that is enqueued until the release makes one group.
pub(super) async fn hold(store: &Store) -> (mpsc::SyncSender<()>, Commit<(), Error>) {
    let (release, held) = mpsc::sync_channel::<()>(1);
    let (entered, mut inside) = tokio::sync::mpsc::channel(1);
    let held = Mutex::new(held);
    let commit = store
        .enqueue(move |_| {
            // The work may run again, when nobody listens any more.
            let _ = entered.try_send(());
            // The sender is dropped or used; both release.
            let _ = held.lock().recv();
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    inside.recv().await.unwrap();
    (release, commit)
}

#[tokio::test]
async fn what_waits_is_committed_together_and_in_order() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let before = count_groups(&store).await;
        let (release, _held) = hold(&store).await;
        let mut commits = Vec::new();
        for number in 0..100 {
            let work = move |txn: &mut crate::WriteTxn<'_>| table::insert(txn, number, "x");
            commits.push(store.enqueue(work).await.unwrap());
        }
        drop(release);
        for (number, commit) in commits.into_iter().enumerate() {
            assert_eq!(commit.await.unwrap(), Position(number as u64 + 1));
        }
        // One group of the greatest size and one with what was left.
        assert_eq!(count_groups(&store).await, before + 2);
        table::assert_no_gaps(&store).await;
    })
    .await;
}

/// What a change in a mixed group does to itself.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Counts,
    Refuses,
    Panics,
    BreaksStatement,
    MeetsKey,
}

fn fate(number: i64) -> Fate {
    match number % 7 {
        1 => Fate::Refuses,
        3 => Fate::Panics,
        4 => Fate::BreaksStatement,
        6 => Fate::MeetsKey,
        _ => Fate::Counts,
    }
}

fn change(txn: &mut crate::WriteTxn<'_>, number: i64) -> Result<(), Error> {
    table::insert(txn, number, "x")?;
    txn.record(Change::Profile { user: UserNumber(number) });
    if number % 2 == 0 {
        // Has the gathered rows written in the middle of the change.
        assert!(table::list(txn)?.iter().any(|(found, _, _)| *found == number));
    }
    match fate(number) {
        Fate::Counts => Ok(()),
        Fate::Refuses => Err(Error::corrupt("on purpose")),
        Fate::Panics => panic!("on purpose"),
        Fate::BreaksStatement => txn.execute("UPDATE nowhere SET nothing = 1", &[]).map(drop),
        Fate::MeetsKey => table::insert(txn, -1, "there").map(drop),
    }
}

#[tokio::test]
async fn a_change_that_fails_takes_no_other_with_it() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store.write(|txn| table::insert(txn, -1, "there")).await.unwrap();
        let (release, _held) = hold(&store).await;
        let mut commits = Vec::new();
        for number in 0..50 {
            commits.push(store.enqueue(move |txn| change(txn, number)).await.unwrap());
        }
        drop(release);
        for (number, commit) in (0..).zip(commits) {
            let outcome = commit.await;
            match fate(number) {
                Fate::Counts => assert!(outcome.is_ok(), "{number}: {outcome:?}"),
                Fate::Refuses => assert!(matches!(outcome, Err(Error::Corrupt(_)))),
                Fate::Panics => assert!(matches!(outcome, Err(Error::Panicked))),
                Fate::BreaksStatement => assert!(matches!(outcome, Err(Error::Statement(_)))),
                Fate::MeetsKey => assert!(matches!(outcome, Err(Error::Exists(_))), "{outcome:?}"),
            }
        }
        let expected: Vec<i64> =
            (-1..50).filter(|number| *number == -1 || fate(*number) == Fate::Counts).collect();
        assert_eq!(table::numbers(&store).await, expected);
        table::assert_no_gaps(&store).await;
        let told = store.log().since(Position(1)).unwrap();
        let users: Vec<_> = told.iter().map(|record| user(&record.change).0).collect();
        assert_eq!(users, expected[1..]);
        let positions: Vec<_> = told.iter().map(|record| record.position.0).collect();
        assert_eq!(positions, (2..=store.position().0).collect::<Vec<_>>());
    })
    .await;
}

fn user(change: &Change) -> UserNumber {
    let Change::Profile { user } = change else { panic!("the battery records profiles only") };
    *user
}

#[tokio::test]
async fn publication_comes_between_commit_and_answer() {
    for_each_engine(|store| async move {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&seen);
        let watched = store.clone();
        store.add_listener(Arc::new(move |records| {
            // The log holds what listeners are told.
            let head = watched.position();
            assert!(records.iter().all(|record| record.position <= head));
            listener.lock().extend(records.iter().map(|record| record.position));
        }));
        let inside = store.clone();
        let position = store
            .write(move |txn| {
                let position = txn.next_position();
                txn.record(Change::Profile { user: UserNumber(1) });
                let inside = inside.clone();
                txn.on_commit(Box::new(move || {
                    assert!(inside.position() < position, "published before the callback");
                }));
                Ok::<_, Error>(position)
            })
            .await
            .unwrap();
        assert_eq!(*seen.lock(), [position]);
        assert_eq!(store.position(), position);
    })
    .await;
}

#[tokio::test]
async fn listeners_and_callbacks_may_panic() {
    for_each_engine(|store| async move {
        store.add_listener(Arc::new(|_| panic!("on purpose")));
        for number in 1..4 {
            let position = store
                .write(move |txn| {
                    txn.on_commit(Box::new(|| panic!("on purpose")));
                    let position = txn.next_position();
                    txn.record(Change::Profile { user: UserNumber(number) });
                    Ok::<_, Error>(position)
                })
                .await
                .unwrap();
            assert_eq!(position, store.position());
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_key_twice() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let (release, held) = hold(&store).await;
        let put = |batch, number: i64, text: &'static str, fails: bool| {
            store.enqueue(move |txn| {
                txn.insert(batch, params![number, 1, "overwritten"])?;
                txn.insert(batch, params![number, 1, text])?;
                if fails { Err(Error::corrupt("on purpose")) } else { Ok(()) }
            })
        };
        let commits = vec![
            put(&LAST, 1, "a", false).await.unwrap(),
            put(&LAST, 1, "never", true).await.unwrap(),
            put(&LAST, 2, "b", false).await.unwrap(),
            put(&LAST, 2, "c", false).await.unwrap(),
            put(&FIRST, 1, "never", false).await.unwrap(),
            put(&FIRST, 3, "never", true).await.unwrap(),
            put(&FIRST, 3, "never", false).await.unwrap(),
        ];
        drop(release);
        held.await.unwrap();
        for commit in commits {
            let _ = commit.await;
        }
        let texts: Vec<_> = table::items(&store)
            .await
            .into_iter()
            .map(|(number, _, text)| (number, text))
            .collect();
        let expected = [(1, "a"), (2, "c"), (3, "overwritten")];
        assert_eq!(texts, expected.map(|(number, text)| (number, text.to_owned())));
    })
    .await;
}

#[tokio::test]
async fn a_change_sees_what_came_before_it_in_the_group() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let (release, _held) = hold(&store).await;
        let mut commits = Vec::new();
        for number in 0..20_i64 {
            let work = move |txn: &mut crate::WriteTxn<'_>| {
                let seen = table::list(txn)?.len();
                table::insert(txn, number, "x")?;
                let sql = "UPDATE battery SET text = BYTES('y') WHERE number = $1";
                assert_eq!(txn.execute(sql, params![number])?, 1);
                let name = format!("@user{}:example.org", number / 2);
                let user = txn.intern_user(<&UserId>::try_from(name.as_str()).unwrap())?;
                Ok::<_, Error>((seen, user))
            };
            commits.push(store.enqueue(work).await.unwrap());
        }
        drop(release);
        for (number, commit) in (0..).zip(commits) {
            let (seen, user) = commit.await.unwrap();
            assert_eq!(seen, number);
            assert_eq!(user, UserNumber(i64::try_from(number / 2).unwrap() + 1));
        }
        assert!(table::items(&store).await.iter().all(|(_, _, text)| text == "y"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_leave_no_gap() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        let first = Change::Profile { user: UserNumber(-1) };
        let work = move |txn: &mut crate::WriteTxn<'_>| {
            table::insert(txn, -1, "there").map(|_| txn.record(first.clone()))
        };
        store.write(work).await.unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&told);
        store.add_listener(Arc::new(move |records| {
            listener.lock().extend(records.iter().map(|record| record.position.0));
        }));
        let tasks: Vec<_> = (0..6)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for turn in 0..50 {
                        let number = writer * 1000 + turn;
                        let _ = store.write(move |txn| change(txn, number)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        table::assert_no_gaps(&store).await;
        assert_eq!(*told.lock(), (2..=store.position().0).collect::<Vec<_>>());
    })
    .await;
}
