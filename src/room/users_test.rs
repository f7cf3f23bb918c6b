//! What is committed while a user's rooms are being read is not lost, and not applied twice.

use proto::{
    number::{EventNumber, Position, RoomNumber, UserNumber},
    visibility::Membership,
};
use ruma::{room_id, user_id};
use store::room::members::{MemberRow, UserRow};

use super::{LATE_MAX, Late, UserCache, UserChange, UserRoom, UserRooms};
use crate::view::Member;

fn row(membership: Membership, position: u64) -> UserRow {
    UserRow {
        member: MemberRow {
            room: RoomNumber(1),
            user: UserNumber(1),
            membership,
            event: EventNumber(1),
            position: Position(position),
        },
        room_id: room_id!("!a:example.org").to_owned(),
        joined_until: None,
        forgotten: false,
    }
}

fn late(membership: Option<Membership>, position: u64) -> Late {
    let member = membership.map(|membership| Member {
        user_id: user_id!("@bob:example.org").to_owned(),
        membership,
        event: EventNumber(2),
    });
    Late {
        room: RoomNumber(1),
        room_id: room_id!("!a:example.org").to_owned(),
        change: UserChange { user: UserNumber(1), member, position: Position(position) },
    }
}

fn rooms(membership: Membership, position: u64) -> UserRooms {
    let room = UserRoom::from(row(membership, position));
    UserRooms::unit(RoomNumber(1), std::sync::Arc::new(room))
}

#[test]
fn what_came_later_counts_and_what_was_read_already_does_not() {
    let mut read = rooms(Membership::Join, 5);
    late(Some(Membership::Invite), 3).apply(&mut read);
    assert_eq!(read[&RoomNumber(1)].membership, Membership::Join);
    late(Some(Membership::Leave), 7).apply(&mut read);
    let left = &read[&RoomNumber(1)];
    assert_eq!((left.membership, left.joined_until), (Membership::Leave, Some(Position(7))));
    late(Some(Membership::Ban), 9).apply(&mut read);
    assert_eq!(read[&RoomNumber(1)].joined_until, Some(Position(7)), "the stay ended earlier");
    late(None, 11).apply(&mut read);
    assert!(read.is_empty());
}

#[test]
fn what_was_read_for_an_entry_that_is_gone_is_not_kept() {
    let (cache, user) = (UserCache::default(), UserNumber(1));
    let slow = cache.get(user).unwrap_err();
    // She forgets the room while it is being read, and asks again: that entry has not heard of it.
    cache.forget(user, RoomNumber(1));
    let quick = cache.get(user).unwrap_err();
    cache.fill(user, slow, vec![row(Membership::Leave, 5)]);
    let forgotten = UserRow { forgotten: true, ..row(Membership::Leave, 5) };
    assert!(cache.fill(user, quick, vec![forgotten])[&RoomNumber(1)].forgotten);
    assert!(cache.get(user).unwrap()[&RoomNumber(1)].forgotten);
}

#[test]
fn a_read_that_was_given_up_keeps_no_more_than_so_many_commits() {
    let (cache, user) = (UserCache::default(), UserNumber(1));
    let given_up = cache.get(user).unwrap_err();
    for position in 0..=u64::try_from(LATE_MAX).unwrap() {
        cache.note(late(Some(Membership::Join), position));
    }
    assert!(cache.users.lock().entries.is_empty());
    // Whoever asks next begins anew.
    assert_ne!(cache.get(user).unwrap_err(), given_up);
}
