//! Rows that move on only from the state that a change was made from.

use proto::number::{Position, RoomNumber, StateGroup};

use super::{
    group::hold,
    table::{self, NEW},
};
use crate::{
    Error, Store, WriteTxn, params,
    room::rooms::{self, RoomRow},
    testing::for_each_engine,
};

fn row(number: i64, revision: u64) -> RoomRow {
    RoomRow {
        number: RoomNumber(number),
        version: "11".to_owned(),
        revision,
        group: StateGroup(1),
        depth: 1,
        tips: Vec::new(),
        position: Position(0),
    }
}

/// Moves a room on from one revision to the next, and leaves a row that says so.
fn step(txn: &mut WriteTxn<'_>, room: i64, to: u64, mark: i64) -> Result<(), Error> {
    txn.insert(&NEW, params![mark, 0, "moved"])?;
    rooms::update(txn, &row(room, to), to - 1)
}

async fn revision(store: &Store, room: i64) -> u64 {
    let found = store.read(move |snapshot| rooms::find(snapshot, RoomNumber(room))).await;
    found.unwrap().unwrap().revision
}

#[tokio::test]
async fn a_row_moves_on_from_the_expected_state_only() {
    for_each_engine(|store| async move {
        table::create(&store).await;
        store.write(|txn| rooms::insert(txn, &row(1, 5))).await.unwrap();
        store.write(|txn| step(txn, 1, 6, 1)).await.unwrap();
        for to in [6, 8] {
            let outcome = store.write(move |txn| step(txn, 1, to, 2)).await;
            assert!(matches!(outcome, Err(Error::Moved)), "{outcome:?}");
        }
        let missing = store.write(|txn| step(txn, 2, 1, 2)).await;
        assert!(matches!(missing, Err(Error::Moved)), "{missing:?}");
        // Also where the rows are written before the end.
        let outcome = store.write(|txn| {
            step(txn, 1, 9, 2)?;
            rooms::find(txn, RoomNumber(1)).map(drop)
        });
        let outcome = outcome.await;
        assert!(matches!(outcome, Err(Error::Moved)), "{outcome:?}");
        assert_eq!(revision(&store, 1).await, 6);
        assert_eq!(table::numbers(&store).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn steps_of_one_group_follow_each_other_and_a_wrong_one_falls_out_alone() {
    for reads in [false, true] {
        for_each_engine(|store| async move {
            table::create(&store).await;
            store
                .write(|txn| (1..=2).try_for_each(|n| rooms::insert(txn, &row(n, 0))))
                .await
                .unwrap();
            let (release, _held) = hold(&store).await;
            let mut commits = Vec::new();
            // Of room 1 the third step fails by itself, so that the fourth has lost its ground;
            // room 2 is not known to be where its second step expects it.
            let steps = [(1, 1), (1, 2), (2, 1), (1, 3), (1, 4), (2, 3), (1, 3), (2, 2)];
            for (mark, (room, to)) in (0..).zip(steps) {
                let work = move |txn: &mut WriteTxn<'_>| {
                    step(txn, room, to, mark)?;
                    if reads {
                        rooms::find(txn, RoomNumber(room))?;
                    }
                    if mark == 3 { Err(Error::corrupt("on purpose")) } else { Ok(()) }
                };
                commits.push(store.enqueue(work).await.unwrap());
            }
            drop(release);
            let mut kept = Vec::new();
            for (mark, commit) in (0..).zip(commits) {
                match commit.await {
                    Ok(()) => kept.push(mark),
                    Err(Error::Corrupt(_)) => assert_eq!(mark, 3),
                    Err(error) => assert!(matches!(error, Error::Moved), "{mark}: {error:?}"),
                }
            }
            assert_eq!(kept, [0, 1, 2, 6, 7]);
            assert_eq!(table::numbers(&store).await, kept);
            assert_eq!((revision(&store, 1).await, revision(&store, 2).await), (3, 2));
        })
        .await;
    }
}
