//! Who hears of what, over made-up changes.

use proto::{number::EventNumber, visibility::Membership as State};
use ruma::user_id;

use super::*;
use crate::testing::{membership, timeline};

const ROOM: RoomNumber = RoomNumber(1);
const OTHER: RoomNumber = RoomNumber(2);
const ALICE: UserNumber = UserNumber(1);
const BOB: UserNumber = UserNumber(2);

fn notifier() -> Notifier {
    Notifier::new(Head { position: Position(10), epoch: 7, ephemeral: 0 })
}

/// Has a user come who is joined to these rooms.
fn come(notifier: &Notifier, user: UserNumber, rooms: &[RoomNumber]) -> Arc<Waiter> {
    let user_id = if user == ALICE { user_id!("@user1:example.org") } else { user_id!("@bob:x") };
    let begun = notifier.begin(user, user_id);
    let joined =
        Membership { state: State::Join, position: Position(5), event: Some(EventNumber(5)) };
    notifier.complete(user, begun, rooms.iter().map(|room| (*room, joined)).collect());
    notifier.find(user).unwrap()
}

/// Publishes a group as the listener does.
fn publish(notifier: &Notifier, records: &[Arc<Record>]) {
    let head = records.last().unwrap().position;
    let woken = notifier.inner.lock().take_in(records, head, Position(10));
    notifier.head.fetch_max(head.0, Ordering::Release);
    notifier.wake(woken);
}

fn token(position: u64) -> SyncToken {
    SyncToken::at(Head { position: Position(position), epoch: 7, ephemeral: 0 })
}

fn room_positions(notifier: &Notifier, user: UserNumber, since: u64) -> Vec<(RoomNumber, usize)> {
    let standing = notifier.standing(user, Some(Position(since))).unwrap();
    let rooms = standing.news.unwrap().rooms.into_iter();
    let mut rooms = rooms.map(|(room, records)| (room, records.len())).collect::<Vec<_>>();
    rooms.sort_unstable();
    rooms
}

#[test]
fn who_is_joined_has_news_and_others_do_not() {
    let notifier = notifier();
    let (alice, bob) = (come(&notifier, ALICE, &[ROOM]), come(&notifier, BOB, &[OTHER]));
    publish(&notifier, &[timeline(11, ROOM.0)]);
    assert!(alice.has_news(&token(10)));
    assert!(!alice.has_news(&token(11)));
    assert!(!bob.has_news(&token(10)));
    assert_eq!(notifier.head().position, Position(11));
    assert_eq!(room_positions(&notifier, ALICE, 10), [(ROOM, 1)]);
    assert_eq!(room_positions(&notifier, BOB, 10), []);
}

#[test]
fn news_are_the_same_whether_changes_or_rooms_are_fewer() {
    let notifier = notifier();
    let rooms = (1..=20).map(RoomNumber).collect::<Vec<_>>();
    come(&notifier, ALICE, &rooms);
    come(&notifier, BOB, &[ROOM]);
    for position in 11..=16 {
        publish(&notifier, &[timeline(position, ROOM.0), timeline(position + 100, 99)]);
    }
    // Twelve changes: fewer than her rooms, more than his.
    assert_eq!(room_positions(&notifier, ALICE, 12), [(ROOM, 4)]);
    assert_eq!(room_positions(&notifier, BOB, 12), [(ROOM, 4)]);
}

#[test]
fn memberships_follow_the_changes() {
    let notifier = notifier();
    let alice = come(&notifier, ALICE, &[]);
    publish(&notifier, &[timeline(11, ROOM.0)]);
    assert!(!alice.has_news(&token(10)));
    publish(&notifier, &[timeline(12, ROOM.0), membership(13, ROOM.0, ALICE.0, "join")]);
    assert!(alice.has_news(&token(12)));
    publish(&notifier, &[timeline(14, ROOM.0)]);
    assert!(alice.has_news(&token(13)));
    // The departure itself is told, what comes after it is not.
    publish(&notifier, &[membership(15, ROOM.0, ALICE.0, "leave")]);
    assert!(alice.has_news(&token(14)));
    publish(&notifier, &[timeline(16, ROOM.0)]);
    assert!(!alice.has_news(&token(15)));

    let standing = notifier.standing(ALICE, Some(Position(12))).unwrap();
    assert_eq!(standing.position, Position(16));
    assert_eq!(standing.memberships.get(&ROOM).unwrap().state, State::Leave);
    assert_eq!(standing.news.unwrap().own.len(), 2);
}

#[test]
fn an_invitation_is_news() {
    let notifier = notifier();
    let alice = come(&notifier, ALICE, &[]);
    publish(&notifier, &[membership(11, ROOM.0, ALICE.0, "invite")]);
    assert!(alice.has_news(&token(10)));
}

#[test]
fn what_is_heard_while_memberships_are_read_is_newer() {
    let notifier = notifier();
    let begun = notifier.begin(ALICE, user_id!("@user1:example.org"));
    assert!(notifier.find(ALICE).is_none());
    publish(&notifier, &[membership(11, ROOM.0, ALICE.0, "leave")]);
    let read = |position| Membership {
        state: State::Join,
        position: Position(position),
        event: Some(EventNumber(1)),
    };
    notifier.complete(ALICE, begun, [(ROOM, read(5)), (OTHER, read(6))].into_iter().collect());
    let standing = notifier.standing(ALICE, None).unwrap();
    assert_eq!(standing.memberships.get(&ROOM).unwrap().state, State::Leave);
    assert_eq!(standing.memberships.get(&OTHER).unwrap().state, State::Join);
    let alice = notifier.find(ALICE).unwrap();
    publish(&notifier, &[timeline(12, ROOM.0)]);
    assert!(!alice.has_news(&token(11)));
    publish(&notifier, &[timeline(13, OTHER.0)]);
    assert!(alice.has_news(&token(11)));
}

#[test]
fn news_that_are_no_longer_in_memory_are_none() {
    let notifier = notifier();
    come(&notifier, ALICE, &[ROOM]);
    let records = [timeline(11, ROOM.0), timeline(12, ROOM.0)];
    notifier.inner.lock().take_in(&records, Position(12), Position(11));
    assert!(notifier.standing(ALICE, Some(Position(10))).unwrap().news.is_none());
    assert_eq!(room_positions(&notifier, ALICE, 11), [(ROOM, 1)]);
    assert!(notifier.room_since(ROOM, Position(10)).is_none());
    assert_eq!(notifier.room_tail(ROOM).0, Position(11));
}

#[test]
fn typing_and_presence_concern_those_in_the_rooms() {
    let notifier = notifier();
    let (alice, bob) = (come(&notifier, ALICE, &[ROOM]), come(&notifier, BOB, &[OTHER]));
    notifier.publish_ephemeral(1, &EphemeralChange::Typing { room: ROOM });
    assert!(alice.has_news(&token(10)));
    assert!(!bob.has_news(&token(10)));
    assert_eq!(notifier.head().ephemeral, 1);
    let user = user_id!("@user1:example.org").to_owned();
    notifier.publish_ephemeral(2, &EphemeralChange::Presence { user, rooms: [OTHER].into() });
    let known = SyncToken { ephemeral: 1, ..token(10) };
    assert!(bob.has_news(&known));
    // She hears of herself.
    assert!(alice.has_news(&known));
}

#[tokio::test]
async fn who_listens_before_looking_is_woken() {
    let notifier = notifier();
    let alice = come(&notifier, ALICE, &[ROOM]);
    let mut bell = std::pin::pin!(alice.bell().notified());
    bell.as_mut().enable();
    assert!(!alice.has_news(&token(10)));
    publish(&notifier, &[timeline(11, ROOM.0)]);
    bell.await;
    assert!(alice.has_news(&token(10)));
}

#[test]
fn who_has_not_synced_for_longest_makes_room() {
    let notifier = notifier();
    notifier.inner.lock().users_max = 3;
    come(&notifier, UserNumber(3), &[ROOM]);
    let alice = come(&notifier, ALICE, &[ROOM]);
    come(&notifier, BOB, &[ROOM]);
    notifier.find(UserNumber(3)).unwrap();
    // Alice came before him, but her request still runs.
    come(&notifier, UserNumber(4), &[ROOM]);
    assert!(notifier.find(BOB).is_none());
    assert!(notifier.find(ALICE).is_some());
    assert!(notifier.find(UserNumber(3)).is_some());
    assert_eq!(notifier.inner.lock().rooms[&ROOM].len(), 3);
    drop(alice);
}

#[test]
fn what_was_read_for_an_entry_that_is_gone_does_not_count() {
    let notifier = notifier();
    let user_id = user_id!("@user1:example.org");
    let slow = notifier.begin(ALICE, user_id);
    // Everything is forgotten while her rooms are being read, and she comes again.
    notifier.inner.lock().start_anew(Position(11));
    let quick = notifier.begin(ALICE, user_id);
    let joined =
        Membership { state: State::Join, position: Position(5), event: Some(EventNumber(5)) };
    notifier.complete(ALICE, slow, [(ROOM, joined)].into_iter().collect());
    assert!(notifier.find(ALICE).is_none());
    assert_eq!(notifier.begin(ALICE, user_id), quick, "she is still expected");
    notifier.complete(ALICE, quick, Memberships::new());
    assert!(notifier.standing(ALICE, None).unwrap().memberships.is_empty());
}
