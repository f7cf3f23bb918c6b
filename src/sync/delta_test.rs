//! State deltas over made-up moves.

use super::*;

/// A move at a position, of a key, from and to an event; 0 is none.
fn step(position: u64, key: i64, old: i64, new: i64) -> Move {
    let event = |number: i64| (number != 0).then_some(EventNumber(number));
    let position = Position(position);
    Move { position, key: StateKeyNumber(key), old: event(old), new: event(new) }
}

fn shown(start: u64, state: &[i64]) -> Shown {
    Shown { start: Some(Position(start)), state: state.iter().copied().map(EventNumber).collect() }
}

fn pairs(delta: impl IntoIterator<Item = (StateKeyNumber, EventNumber)>) -> Vec<(i64, i64)> {
    delta.into_iter().map(|(key, event)| (key.0, event.0)).collect()
}

fn state(pairs: &[(i64, i64)]) -> StateMap {
    pairs.iter().map(|(key, event)| (StateKeyNumber(*key), EventNumber(*event))).collect()
}

#[test]
fn what_the_timeline_shows_is_not_repeated() {
    let moves = [step(5, 1, 10, 11), step(7, 2, 0, 12)];
    assert_eq!(pairs(changed_before(&moves, &shown(4, &[11, 12]))), []);
    assert_eq!(pairs(changed_after(&moves)), [(1, 11), (2, 12)]);
}

#[test]
fn the_gap_is_filled_up_to_the_start() {
    // Key 1 moved in the gap and again in the timeline, key 2 only in the gap, key 3 only in the
    // timeline.
    let moves = [
        step(5, 1, 10, 11),
        step(6, 2, 0, 20),
        step(7, 2, 20, 21),
        step(9, 1, 11, 12),
        step(10, 3, 0, 30),
    ];
    assert_eq!(pairs(changed_before(&moves, &shown(9, &[12, 30]))), [(1, 11), (2, 21)]);
    assert_eq!(pairs(changed_after(&moves)), [(1, 12), (2, 21), (3, 30)]);
}

#[test]
fn what_a_filter_hides_from_the_timeline_is_in_the_state() {
    let moves = [step(5, 1, 10, 11), step(8, 2, 0, 20)];
    assert_eq!(pairs(changed_before(&moves, &shown(5, &[11]))), [(2, 20)]);
    assert_eq!(pairs(changed_before(&moves, &Shown::default())), [(1, 11), (2, 20)]);
    // Hidden and then changed again in sight: what stood at the start is enough.
    let moves = [step(5, 1, 10, 11), step(8, 1, 11, 12)];
    assert_eq!(pairs(changed_before(&moves, &shown(4, &[12]))), []);
}

#[test]
fn what_came_back_has_not_changed() {
    let moves = [step(5, 1, 10, 11), step(6, 1, 11, 10)];
    assert_eq!(pairs(changed_before(&moves, &Shown::default())), []);
    assert_eq!(pairs(changed_after(&moves)), []);
    // Unless the client sees the way there.
    assert_eq!(pairs(changed_before(&moves, &shown(5, &[11]))), []);
}

#[test]
fn removed_state_is_left_out() {
    let moves = [step(5, 1, 10, 0), step(6, 2, 0, 20), step(7, 2, 20, 0)];
    assert_eq!(pairs(changed_before(&moves, &Shown::default())), []);
    assert_eq!(pairs(changed_after(&moves)), []);
}

#[test]
fn rolling_back() {
    let now = state(&[(1, 12), (2, 20), (3, 30)]);
    let moves = [step(5, 1, 10, 11), step(6, 2, 0, 20), step(7, 1, 11, 12), step(8, 4, 40, 0)];
    assert_eq!(pairs(rolled_back(&now, &moves)), [(1, 10), (3, 30), (4, 40)]);
    assert_eq!(pairs(rolled_back(&now, &[])), [(1, 12), (2, 20), (3, 30)]);
}

#[test]
fn the_whole_state_at_the_start() {
    let now = state(&[(1, 12), (2, 20), (3, 30)]);
    let moves = [step(5, 1, 10, 11), step(6, 2, 0, 20), step(7, 1, 11, 12)];
    // The timeline begins with the event that made key 1 what it was in the middle.
    assert_eq!(pairs(whole_before(&now, &moves, &shown(5, &[11, 20, 12]))), [(1, 10), (3, 30)]);
    // It shows nothing of key 2.
    assert_eq!(pairs(whole_before(&now, &moves, &shown(7, &[12]))), [(1, 11), (2, 20), (3, 30)]);
    assert_eq!(pairs(whole_before(&now, &moves, &Shown::default())), [(1, 12), (2, 20), (3, 30)]);
}

#[test]
fn what_came_out_of_sight_is_there_before_it_is_seen_to_go() {
    let moves = [step(5, 1, 0, 10), step(6, 2, 20, 21), step(7, 1, 10, 11), step(8, 2, 21, 22)];
    let seen = shown(4, &[11, 22]);
    assert_eq!(pairs(changed_before(&moves, &seen)), [(1, 10)]);
    let now = state(&[(1, 11), (2, 22)]);
    assert_eq!(pairs(whole_before(&now, &moves, &seen)), [(1, 10), (2, 20)]);
}

#[test]
fn what_moved_on_out_of_sight_is_overtaken() {
    let numbers = |moves: &[Move], shown: &Shown| {
        let mut numbers = overtaken(moves, shown).iter().map(|event| event.0).collect::<Vec<_>>();
        numbers.sort_unstable();
        numbers
    };
    // Key 1 moves on in sight, key 2 out of sight, key 3 goes back to what it was.
    let moves = [
        step(5, 1, 10, 11),
        step(6, 2, 0, 20),
        step(7, 1, 11, 12),
        step(8, 2, 20, 21),
        step(9, 3, 30, 31),
        step(10, 3, 31, 30),
    ];
    assert_eq!(numbers(&moves, &shown(5, &[11, 20, 12, 31])), [20, 31]);
    assert_eq!(numbers(&moves, &shown(5, &[11, 20, 12, 21])), [] as [i64; 0]);
    // What the timeline does not show cannot mislead.
    assert_eq!(numbers(&moves, &Shown::default()), [] as [i64; 0]);
}
