//! A table of the battery's own, and what is asked about it again and again.

use proto::number::Position;

use crate::{Batch, Conflict, Error, Kind, Snapshot, Store, WriteTxn, params};

const COLUMNS: &[(&str, Kind)] =
    &[("number", Kind::Int), ("position", Kind::Int), ("text", Kind::Bytes)];

/// Rows that must be new.
pub(super) static NEW: Batch =
    Batch { table: "battery", columns: COLUMNS, key_columns: 1, conflict: Conflict::Fail };
/// Rows that give way to what is there.
pub(super) static FIRST: Batch =
    Batch { table: "battery", columns: COLUMNS, key_columns: 1, conflict: Conflict::Ignore };
/// Rows that replace what is there.
pub(super) static LAST: Batch =
    Batch { table: "battery", columns: COLUMNS, key_columns: 1, conflict: Conflict::Replace };

/// Rows that replace what is there, if its position is the expected one.
pub(super) static NEXT: Batch = Batch {
    table: "battery",
    columns: &[
        ("number", Kind::Int),
        ("position", Kind::Int),
        ("text", Kind::Bytes),
        ("expected", Kind::Int),
    ],
    key_columns: 1,
    conflict: Conflict::Advance,
};

/// A row of the table.
pub(super) type Item = (i64, Position, String);

const CREATE: &str = "CREATE TABLE IF NOT EXISTS battery (
    number BIGINT PRIMARY KEY, position BIGINT NOT NULL, text BYTES)";

/// How often a test kills what it kills: as often as it says, or as `STORE_BATTERY_ROUNDS` says.
pub(super) fn rounds(usual: i64) -> i64 {
    let wanted = std::env::var("STORE_BATTERY_ROUNDS").ok();
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(usual)
}

/// Makes the table.
pub(super) async fn create(store: &Store) {
    store.write(|txn| txn.execute(CREATE, &[])).await.unwrap();
}

/// Adds a row at a new position.
pub(super) fn insert(txn: &mut WriteTxn<'_>, number: i64, text: &str) -> Result<Position, Error> {
    let position = txn.next_position();
    txn.insert(&NEW, params![number, position, text])?;
    Ok(position)
}

/// All rows, in the order of their numbers.
pub(super) fn list(snapshot: &mut Snapshot<'_>) -> Result<Vec<Item>, Error> {
    let sql = "SELECT number, position, text FROM battery ORDER BY number";
    snapshot.query(sql, &[], |row| Ok((row.int(0)?, row.position(1)?, row.text(2)?.to_owned())))
}

/// All rows, in the order of their numbers.
pub(super) async fn items(store: &Store) -> Vec<Item> {
    store.read(list).await.unwrap()
}

/// The numbers of all rows.
pub(super) async fn numbers(store: &Store) -> Vec<i64> {
    items(store).await.into_iter().map(|(number, _, _)| number).collect()
}

/// The position that a new view has.
pub(super) async fn position(store: &Store) -> Result<u64, Error> {
    store.read(|snapshot| snapshot.position().map(|position| position.0)).await
}

/// Asserts that the positions of all rows are the first ones, without a gap, and that the store
/// says so too.
pub(super) async fn assert_no_gaps(store: &Store) {
    let items = items(store).await;
    let mut positions: Vec<_> = items.iter().map(|(_, position, _)| position.0).collect();
    positions.sort_unstable();
    let expected: Vec<_> = (1..=positions.len() as u64).collect();
    assert_eq!(positions, expected);
    assert_eq!(store.position().0, positions.len() as u64);
}
