//! Which rows are sent, and how.

use super::{Column, Gather, group_text, insert_text};
use crate::{
    batch::{Batch, Conflict, Kind},
    error::Error,
    params,
};

const COLUMNS: &[(&str, Kind)] = &[("key", Kind::Int), ("part", Kind::Bytes), ("n", Kind::Int)];

static REPLACE: Batch =
    Batch { table: "thing", columns: COLUMNS, key_columns: 2, conflict: Conflict::Replace };
static OTHER: Batch =
    Batch { table: "thing_edge", columns: COLUMNS, key_columns: 3, conflict: Conflict::Ignore };

fn texts(gather: &mut Gather, sql: Option<&str>) -> Vec<(usize, usize)> {
    gather.take(sql).iter().map(|taken| (taken.earlier.length, taken.own.length)).collect()
}

#[test]
fn a_statement_takes_the_tables_that_it_names() {
    let mut gather = Gather::default();
    gather.insert(&REPLACE, params![1, "a", 1]).unwrap();
    gather.insert(&OTHER, params![1, "a", 1]).unwrap();
    assert!(texts(&mut gather, Some("SELECT n FROM something, thing_")).is_empty());
    assert_eq!(texts(&mut gather, Some("SELECT n FROM thing WHERE x")), [(0, 1)]);
    assert_eq!(texts(&mut gather, Some("DELETE FROM thing_edge")), [(0, 1)]);
    assert!(texts(&mut gather, None).is_empty());
}

static ADVANCE: Batch = Batch {
    table: "thing",
    columns: &[
        ("key", Kind::Int),
        ("n", Kind::Int),
        ("part", Kind::Bytes),
        ("expected", Kind::Int),
    ],
    key_columns: 1,
    conflict: Conflict::Advance,
};

#[test]
fn rows_that_advance_one_after_the_other_are_one_step() {
    let mut gather = Gather::default();
    gather.insert(&ADVANCE, params![1, 11, "a", 10]).unwrap();
    gather.insert(&ADVANCE, params![2, 5, "a", 4]).unwrap();
    gather.mark();
    gather.insert(&ADVANCE, params![1, 12, "b", 11]).unwrap();
    gather.insert(&ADVANCE, params![1, 13, "c", 12]).unwrap();
    let outcome = gather.insert(&ADVANCE, params![1, 13, "d", 12]);
    assert!(matches!(outcome, Err(Error::Moved)), "{outcome:?}");
    gather.mark();
    let taken = gather.take(None);
    let rows = &taken[0].earlier;
    assert_eq!(rows.length, 2);
    let [Column::Ints(keys), Column::Ints(states), _, Column::Ints(expected)] = &rows.columns[..]
    else {
        panic!("the columns are of other kinds");
    };
    assert_eq!(*keys, [Some(2), Some(1)]);
    assert_eq!(*states, [Some(5), Some(13)]);
    assert_eq!(*expected, [Some(4), Some(10)]);
}

#[test]
fn only_the_last_of_the_same_key_is_sent() {
    let mut gather = Gather::default();
    for (key, part, n) in [(1, "a", 1), (1, "b", 2), (1, "a", 3), (2, "a", 4), (1, "a", 5)] {
        gather.insert(&REPLACE, params![key, part, n]).unwrap();
    }
    assert_eq!(texts(&mut gather, None), [(0, 3)]);
}

#[test]
fn a_change_that_fails_takes_its_rows_back() {
    let mut gather = Gather::default();
    gather.insert(&REPLACE, params![1, "a", 1]).unwrap();
    gather.mark();
    gather.insert(&REPLACE, params![1, "a", 2]).unwrap();
    gather.insert(&OTHER, params![1, "a", 2]).unwrap();
    gather.undo();
    gather.mark();
    gather.insert(&REPLACE, params![2, "a", 3]).unwrap();
    assert_eq!(texts(&mut gather, None), [(1, 1)]);
}

#[test]
fn a_row_of_the_wrong_kind_is_refused_whole() {
    let mut gather = Gather::default();
    assert!(gather.insert(&REPLACE, params![1, 2, 3]).is_err());
    gather.insert(&REPLACE, params![1, "a", None::<i64>]).unwrap();
    let taken = gather.take(None);
    assert_eq!(taken[0].own.length, 1);
    assert_eq!(taken[0].own.params().len(), 3);
}

#[test]
fn statements() {
    assert_eq!(
        insert_text(&REPLACE),
        "INSERT INTO thing (key, part, n) SELECT * FROM \
         unnest($1::bigint[], $2::bytea[], $3::bigint[]) \
         ON CONFLICT (key, part) DO UPDATE SET n = excluded.n"
    );
    assert_eq!(
        insert_text(&OTHER),
        "INSERT INTO thing_edge (key, part, n) SELECT * FROM \
         unnest($1::bigint[], $2::bytea[], $3::bigint[]) \
         ON CONFLICT (key, part, n) DO NOTHING"
    );
    assert_eq!(
        group_text("UPDATE counter SET n = $1", 1, &[&OTHER]),
        "WITH last AS (UPDATE counter SET n = $1), \
         rows0 AS (INSERT INTO thing_edge (key, part, n) SELECT * FROM \
         unnest($2::bigint[], $3::bytea[], $4::bigint[]) \
         ON CONFLICT (key, part, n) DO NOTHING) SELECT 1"
    );
    let advances = "UPDATE thing SET n = new.n, part = new.part FROM \
         unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[]) \
         AS new (key, n, part, expected) \
         WHERE thing.key = new.key AND thing.n = new.expected RETURNING 1";
    assert_eq!(
        insert_text(&ADVANCE),
        format!(
            "WITH rows AS ({advances}) SELECT 1 / CASE WHEN \
             (SELECT count(*) FROM rows) = cardinality($1::bigint[]) THEN 1 ELSE 0 END"
        )
    );
}
