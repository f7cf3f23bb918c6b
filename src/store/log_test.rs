//! What the log still knows.

use std::sync::Arc;

use proto::number::{Position, UserNumber};

use super::{Change, Log, Record};

fn record(position: u64) -> Arc<Record> {
    let change = Change::Profile { user: UserNumber(1) };
    Arc::new(Record { position: Position(position), change })
}

fn positions(found: Option<Vec<Arc<Record>>>) -> Option<Vec<u64>> {
    found.map(|records| records.iter().map(|record| record.position.0).collect())
}

#[test]
fn it_gives_what_came_after_a_position() {
    let log = Log::new(Position(10), 1_000_000);
    assert_eq!(positions(log.since(Position(9))), None);
    assert_eq!(positions(log.since(Position(10))), Some(vec![]));
    // Positions without a record are nobody's concern, two records at one position come together.
    log.append(&[record(11), record(13), record(13)], Position(15));
    assert_eq!(log.head(), Position(15));
    assert_eq!(positions(log.since(Position(10))), Some(vec![11, 13, 13]));
    assert_eq!(positions(log.since(Position(12))), Some(vec![13, 13]));
    assert_eq!(positions(log.since(Position(13))), Some(vec![]));
    assert_eq!(positions(log.since(Position(99))), Some(vec![]));
    assert_eq!(positions(log.between(Position(10), Position(12))), Some(vec![11]));
    assert_eq!(positions(log.between(Position(12), Position(10))), Some(vec![]));
}

#[test]
fn it_forgets_the_oldest_first_and_knows_that_it_did() {
    let most = record(1).bytes() * 4;
    let log = Log::new(Position(0), most);
    for position in 1..=10 {
        log.append(&[record(position)], Position(position));
    }
    assert_eq!(log.floor(), Position(6));
    assert_eq!(positions(log.since(Position(5))), None);
    assert_eq!(positions(log.since(Position(6))), Some(vec![7, 8, 9, 10]));
}

#[test]
fn a_group_that_is_larger_than_the_log_leaves_nothing_half_there() {
    let log = Log::new(Position(0), 1);
    log.append(&[record(1), record(2)], Position(2));
    assert_eq!(log.head(), Position(2));
    assert_eq!(positions(log.since(Position(1))), None);
    assert_eq!(positions(log.since(Position(2))), Some(vec![]));
}
