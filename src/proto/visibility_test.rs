//! Tests of history visibility.

use HistoryVisibility::{Invited, Joined, Shared, WorldReadable};
use Membership::{Ban, Invite, Join, Knock, Leave};

use super::*;

const ALL: [Membership; 5] = [Join, Invite, Knock, Leave, Ban];

fn plain(visibility: HistoryVisibility, membership: Membership, joined_since: bool) -> bool {
    may_see(Circumstances {
        visibility_before: visibility,
        visibility_after: visibility,
        membership_before: membership,
        membership_after: membership,
        joined_since,
    })
}

#[test]
fn an_ordinary_event() {
    for membership in ALL {
        for joined_since in [true, false] {
            let sees = |visibility| plain(visibility, membership, joined_since);
            let joined = membership == Join;
            assert!(sees(WorldReadable));
            assert_eq!(sees(Shared), joined || joined_since);
            assert_eq!(sees(Invited), joined || membership == Invite);
            assert_eq!(sees(Joined), joined);
        }
    }
}

fn change(before: HistoryVisibility, after: HistoryVisibility, membership: Membership) -> bool {
    may_see(Circumstances {
        visibility_before: before,
        visibility_after: after,
        membership_before: membership,
        membership_after: membership,
        joined_since: false,
    })
}

#[test]
fn a_change_of_visibility_is_seen_by_either_side() {
    assert!(change(WorldReadable, Joined, Leave));
    assert!(change(Joined, WorldReadable, Leave));
    assert!(change(Joined, Invited, Invite));
    assert!(!change(Joined, Invited, Leave));
}

fn own(visibility: HistoryVisibility, before: Membership, after: Membership) -> bool {
    may_see(Circumstances {
        visibility_before: visibility,
        visibility_after: visibility,
        membership_before: before,
        membership_after: after,
        joined_since: false,
    })
}

#[test]
fn the_own_membership_is_seen_by_either_side() {
    for other in ALL {
        assert!(own(Joined, Join, other));
        assert!(own(Joined, other, Join));
    }
    assert!(own(Invited, Leave, Invite));
    assert!(own(Invited, Invite, Leave));
    assert!(!own(Joined, Invite, Leave));
    assert!(!own(Shared, Invite, Ban));
}

#[test]
fn values() {
    assert_eq!(HistoryVisibility::parse(None), Shared);
    assert_eq!(HistoryVisibility::parse(Some("else")), Shared);
    for (text, value) in [
        ("world_readable", WorldReadable),
        ("shared", Shared),
        ("invited", Invited),
        ("joined", Joined),
    ] {
        assert_eq!(HistoryVisibility::parse(Some(text)), value);
    }
    for membership in ALL {
        assert_eq!(Membership::parse(membership.as_str()), Some(membership));
    }
    assert_eq!(Membership::parse("Join"), None);
}
