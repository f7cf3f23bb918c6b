//! The index over recent changes.

use smallvec::smallvec;

use super::*;

const ROOM: Topic = Topic::Room(RoomNumber(1));
const OTHER: Topic = Topic::Room(RoomNumber(2));
const USER: Topic = Topic::User(UserNumber(1));

fn filled() -> Recent<u64> {
    let mut recent = Recent::new(Position(10));
    recent.push(Position(11), smallvec![ROOM], &11);
    recent.push(Position(12), smallvec![OTHER], &12);
    recent.push(Position(13), smallvec![ROOM, USER], &13);
    recent.push(Position(15), smallvec![], &15);
    recent
}

fn of(recent: &Recent<u64>, topic: Topic, since: u64) -> Vec<u64> {
    recent.of(topic, Position(since)).copied().collect()
}

#[test]
fn changes_are_found_by_topic() {
    let recent = filled();
    assert_eq!(of(&recent, ROOM, 10), [11, 13]);
    assert_eq!(of(&recent, ROOM, 11), [13]);
    assert_eq!(of(&recent, ROOM, 13), [] as [u64; 0]);
    assert_eq!(of(&recent, USER, 0), [13]);
    assert_eq!(recent.newest(ROOM), Some(Position(13)));
    assert_eq!(recent.newest(Topic::User(UserNumber(9))), None);
    assert_eq!(recent.count_since(Position(10)), 4);
    assert_eq!(recent.topics_since(Position(11)).collect::<Vec<_>>(), [OTHER, ROOM, USER]);
}

#[test]
fn the_head_only_grows() {
    let mut recent = filled();
    assert_eq!(recent.head(), Position(15));
    recent.advance(Position(20));
    recent.advance(Position(3));
    assert_eq!(recent.head(), Position(20));
}

#[test]
fn the_oldest_falls_out_and_the_floor_says_so() {
    let mut recent = filled();
    assert!(recent.covers(Position(10)));
    recent.forget(Position(11));
    assert!(!recent.covers(Position(10)));
    assert!(recent.covers(Position(11)));
    assert_eq!(of(&recent, ROOM, 0), [13]);
    assert_eq!(recent.count_since(Position(0)), 3);

    recent.forget(Position(15));
    assert!(!recent.covers(Position(14)));
    assert!(recent.covers(Position(15)));
    assert_eq!(recent.newest(ROOM), None);
    assert!(recent.by_topic.is_empty());
    assert_eq!(recent.head(), Position(15));
}
