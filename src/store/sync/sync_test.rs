//! What sync asks of the store, on both engines.

use proto::number::{EventNumber, Position, RoomNumber, StateGroup, StateKeyNumber};

use super::{
    moves::{self, Move},
    places,
};
use crate::{
    Error, Store, params,
    room::{
        changes::{self, StateChange},
        event::Place,
        rooms::{self, RoomRow},
    },
    testing::for_each_engine,
};

const ROOM: RoomNumber = RoomNumber(1);
const OTHER: RoomNumber = RoomNumber(2);
const KEY: StateKeyNumber = StateKeyNumber(-7);

fn change(room: RoomNumber, position: u64, key: StateKeyNumber, new: i64) -> StateChange {
    StateChange {
        position: Position(position),
        room,
        key,
        old: None,
        new: (new != 0).then_some(EventNumber(new)),
        group: StateGroup(1),
    }
}

async fn insert_moves(store: &Store) {
    let changes = [
        change(ROOM, 1, KEY, 10),
        change(OTHER, 2, KEY, 20),
        change(ROOM, 3, StateKeyNumber(5), 30),
        change(ROOM, 4, KEY, 0),
    ];
    store
        .write(move |txn| changes.iter().try_for_each(|change| changes::insert(txn, change)))
        .await
        .unwrap();
}

#[tokio::test]
async fn moves_of_a_room_and_of_a_key() {
    for_each_engine(|store| async move {
        insert_moves(&store).await;
        let positions =
            |moves: Vec<Move>| moves.iter().map(|found| found.position.0).collect::<Vec<_>>();
        let (all, some, of_key) = store
            .read(|snapshot| {
                let all = moves::since(snapshot, ROOM, Position(0))?;
                let some = moves::since(snapshot, ROOM, Position(3))?;
                let of_key = moves::of_key(snapshot, (ROOM, KEY), Position(0), Position(3))?;
                Ok::<_, Error>((all, some, of_key))
            })
            .await
            .unwrap();
        assert_eq!(some[0].new, None);
        assert_eq!(all[0].new, Some(EventNumber(10)));
        assert_eq!(positions(all), [1, 3, 4]);
        assert_eq!(positions(some), [4]);
        assert_eq!(positions(of_key), [1]);
    })
    .await;
}

#[tokio::test]
async fn rooms_that_moved() {
    for_each_engine(|store| async move {
        let row = |number, position| RoomRow {
            number,
            version: "11".to_owned(),
            revision: 1,
            group: StateGroup(1),
            depth: 1,
            tips: Vec::new(),
            position: Position(position),
        };
        let rows = [row(ROOM, 5), row(OTHER, 9), row(RoomNumber(3), 9)];
        store
            .write(move |txn| rows.iter().try_for_each(|row| rooms::insert(txn, row)))
            .await
            .unwrap();
        let moved = store
            .read(|snapshot| places::moved_rooms(snapshot, &[ROOM, OTHER], Position(5)))
            .await
            .unwrap();
        assert_eq!(moved, [OTHER]);
    })
    .await;
}

#[tokio::test]
async fn the_deepest_place_before_an_event() {
    for_each_engine(|store| async move {
        // The third came late and stands beside the second; 99 is backfill.
        let places = [(1, 1, 1), (2, 7, 2), (3, 4, 3), (4, 5, 4), (5, 8, 5), (6, 3, -99)];
        store
            .write(move |txn| {
                places.iter().try_for_each(|(number, depth, position)| {
                    let id = format!("${number}");
                    let sql = "INSERT INTO event (number, room, id, json, outcome, depth, position)
                        VALUES ($1, 1, $2, $2, 0, $3, $4)";
                    txn.execute(sql, params![*number, id, *depth, *position]).map(drop)
                })
            })
            .await
            .unwrap();
        let place = |depth, position| Place { depth, position };
        let before = |depth, position| {
            let store = store.clone();
            async move {
                let event = place(depth, position);
                let found =
                    store.read(move |snapshot| places::deepest_before(snapshot, ROOM, event)).await;
                found.unwrap()
            }
        };
        assert_eq!(before(4, 3).await, Some(place(7, 2)));
        assert_eq!(before(5, 4).await, Some(place(7, 2)));
        assert_eq!(before(7, 2).await, None);
        assert_eq!(before(1, 1).await, Some(place(3, -99)));
    })
    .await;
}
