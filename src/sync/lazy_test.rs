//! Who is known by which token.

use proto::number::Position;

use super::*;
use crate::token::TypingShown;

fn holder(device: &str, position: u64) -> Holder {
    let token = SyncToken {
        position: Position(position),
        epoch: 1,
        ephemeral: 0,
        typing: TypingShown::Unknown,
    };
    Holder { user: UserNumber(1), device_id: device.into(), token }
}

fn members(members: &[(i64, i64)]) -> Known {
    members
        .iter()
        .map(|(key, event)| ((RoomNumber(1), StateKeyNumber(*key)), EventNumber(*event)))
        .collect()
}

#[test]
fn knowledge_belongs_to_device_and_token() {
    let known = KnownMembers::new();
    known.remember(holder("A", 5), members(&[(1, 10)]));
    assert_eq!(known.known(&holder("A", 5)), members(&[(1, 10)]));
    assert_eq!(known.known(&holder("A", 4)), Known::new());
    assert_eq!(known.known(&holder("B", 5)), Known::new());
}

#[test]
fn two_answers_with_one_token_leave_what_is_common() {
    let known = KnownMembers::new();
    known.remember(holder("A", 5), members(&[(1, 10), (2, 20), (3, 30)]));
    known.remember(holder("A", 5), members(&[(2, 20), (3, 31), (4, 40)]));
    assert_eq!(known.known(&holder("A", 5)), members(&[(2, 20)]));
}

#[test]
fn too_much_is_forgotten() {
    let known = KnownMembers::new();
    let many = (0..=MEMBERS_MAX).map(|key| (i64::try_from(key).unwrap(), 1)).collect::<Vec<_>>();
    known.remember(holder("A", 5), members(&many));
    assert_eq!(known.known(&holder("A", 5)), Known::new());
}
