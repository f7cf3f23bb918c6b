//! Which room goes where, over made-up memberships.

use proto::number::EventNumber;

use super::*;

const ROOM: RoomNumber = RoomNumber(1);

fn membership(state: State) -> Membership {
    Membership { state, position: Position(50), event: Some(EventNumber(5)) }
}

/// The plan of a user who is `now` in her only room, and came there by these steps.
fn plan(now: State, steps: &[(State, State)], scope: Scope) -> Plan {
    plan_with(now, steps, scope, None)
}

fn plan_with(
    now: State,
    steps: &[(State, State)],
    scope: Scope,
    archived: Option<Archived>,
) -> Plan {
    let memberships = Memberships::unit(ROOM, membership(now));
    let passages = (20..)
        .zip(steps)
        .map(|(position, (from, to))| Passage {
            room: ROOM,
            position: Position(position),
            from: *from,
            to: *to,
        })
        .collect::<Vec<_>>();
    let archived = archived.map(|archived| (ROOM, archived)).into_iter().collect();
    Plan::new(&memberships, &passages, scope, &HashSet::new(), &archived)
}

fn since() -> Scope {
    Scope { since: Some(Position(10)), ..Scope::default() }
}

fn visit(plan: &Plan) -> Option<(Option<Position>, bool)> {
    plan.joined.first().map(|visit| (visit.since, visit.whole_state))
}

/// Since when the client knows the room that was left, whether the whole state is due, and where
/// the stay ended, if there was one.
fn departure(plan: &Plan) -> Option<(Option<Position>, bool, Option<Position>)> {
    let first = plan.left.first();
    first.map(|left| (left.since, left.whole_state, left.stay.map(|stay| stay.end)))
}

#[test]
fn joined_rooms() {
    let known = Some(Position(10));
    let cases: [(&[(State, State)], _); 5] = [
        (&[], None),
        // A new name or avatar is no new room.
        (&[(State::Join, State::Join)], Some((known, false))),
        (&[(State::Leave, State::Join)], Some((None, true))),
        (&[(State::Leave, State::Invite), (State::Invite, State::Join)], Some((None, true))),
        (&[(State::Join, State::Leave), (State::Leave, State::Join)], Some((None, true))),
    ];
    for (steps, expected) in cases {
        assert_eq!(visit(&plan(State::Join, steps, since())), expected, "{steps:?}");
    }
    let full = Scope { full_state: true, ..since() };
    assert_eq!(visit(&plan(State::Join, &[], full)), Some((known, true)));
    assert_eq!(visit(&plan(State::Join, &[], Scope::default())), Some((None, true)));

    let memberships = Memberships::unit(ROOM, membership(State::Join));
    let rooms = HashSet::from([ROOM, RoomNumber(2)]);
    let touched = Plan::new(&memberships, &[], since(), &rooms, &HashMap::new());
    assert_eq!(visit(&touched), Some((known, false)));
}

#[test]
fn invitations_and_knocks_are_told_once() {
    for state in [State::Invite, State::Knock] {
        let told = |plan: Plan| plan.invited.len() + plan.knocked.len();
        assert_eq!(told(plan(state, &[], since())), 0);
        assert_eq!(told(plan(state, &[(State::Leave, state)], since())), 1);
        assert_eq!(told(plan(state, &[], Scope::default())), 1);
        assert_eq!(told(plan(state, &[], Scope { full_state: true, ..since() })), 1);
    }
}

#[test]
fn departures_since_the_token() {
    let known = Some(Position(10));
    let (first, second) = (Some(Position(20)), Some(Position(21)));
    let cases: [(&[(State, State)], _); 6] = [
        (&[], None),
        (&[(State::Join, State::Leave)], Some((known, false, first))),
        (&[(State::Join, State::Join), (State::Join, State::Leave)], Some((known, false, second))),
        (&[(State::Leave, State::Join), (State::Join, State::Leave)], Some((None, true, second))),
        (&[(State::Invite, State::Leave)], Some((None, false, None))),
        (
            &[(State::Leave, State::Invite), (State::Invite, State::Leave)],
            Some((None, false, None)),
        ),
    ];
    for (steps, expected) in cases {
        assert_eq!(departure(&plan(State::Leave, steps, since())), expected, "{steps:?}");
    }
    let banned = plan(State::Ban, &[(State::Join, State::Ban)], since());
    assert_eq!(departure(&banned), Some((known, false, first)));
}

#[test]
fn a_stay_ends_where_the_user_left_and_not_where_she_was_banned() {
    let stay = |steps: &[(State, State)]| plan(State::Ban, steps, since()).left[0].stay;
    let left = [(State::Join, State::Leave), (State::Leave, State::Ban)];
    assert_eq!(stay(&left), Some(Stay { end: Position(20), is_whole: true }));
    let back = [
        (State::Join, State::Leave),
        (State::Leave, State::Join),
        (State::Join, State::Leave),
        (State::Leave, State::Ban),
    ];
    assert_eq!(stay(&back), Some(Stay { end: Position(22), is_whole: false }));
    let new = [(State::Leave, State::Join), (State::Join, State::Ban)];
    assert_eq!(stay(&new), Some(Stay { end: Position(21), is_whole: false }));
}

#[test]
fn departures_before_the_token() {
    let archived = |scope, archived| departure(&plan_with(State::Leave, &[], scope, archived));
    let full = Scope { full_state: true, ..since() };
    assert_eq!(archived(Scope::default(), None), None);
    // Who left at 40 and was banned at 50 gets the room as it was at 40.
    let end = Some(Position(40));
    let inside = Some(Archived { stay_end: end });
    let outside = Some(Archived { stay_end: None });
    assert_eq!(archived(Scope::default(), inside), Some((None, true, end)));
    assert_eq!(archived(Scope::default(), outside), Some((None, false, None)));
    assert_eq!(archived(since(), inside), None);
    assert_eq!(archived(full, inside), Some((None, true, end)));
}
