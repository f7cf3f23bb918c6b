//! Whether a client was told everything: after each answer its picture of the room's state is what
//! the server held at the answer's token, each event of the timeline was told once, and what a
//! limited timeline left out is found by `/messages`.
//!
//! Two things no server can tell. A state event that the rooms' servers agree to drop, so that
//! nothing stands in its place, has no word in either format: clients keep it. And plain `state`
//! is applied before the timeline: where an answer shows a state event that lost, or came to lose,
//! against another within the same answer, the client ends with the loser until that key moves
//! again (this is what `state_after` was made for, MSC4222). Everything else a client of plain
//! `state` has to know as well, state that moved without a timeline event included.
//!
//! The timelines are checked of those who stay in the room: to somebody who left it and came back
//! between two requests, a server may well begin it anew, with a limited timeline.
//!
//! Spec: client-server API, "Syncing".

use std::collections::{BTreeMap, BTreeSet, HashSet};

use room::{
    PageToken,
    query::{Direction, MessagesRequest, Point, Reading},
};
use ruma::OwnedEventId;
use store::Position;
use sync::{StateSection, token::SyncToken};

use crate::{
    follower::{Follower, Told},
    record::{Key, Record, State, Walk},
};

/// Events of one page.
const PAGE: usize = 50;

/// Checks all that a client was told against its server's record. Gives how often its state had to
/// differ for want of words.
pub(crate) async fn check(follower: &Follower, record: &Record) -> usize {
    let differing = check_states(follower, record);
    if follower.habits.stays {
        check_timelines(follower, record).await;
    }
    if follower.is_joined() {
        let picture = follower.picture();
        let count = |count: usize| Some(u64::try_from(count).unwrap());
        assert_eq!(picture.joined_count, count(record.joined_count), "{}", name(follower));
        assert_eq!(picture.invited_count, count(record.invited_count), "{}", name(follower));
    }
    differing
}

fn name(follower: &Follower) -> String {
    format!("{} at {}", format_args!("{:?}", follower.habits), follower.server.name)
}

fn check_states(follower: &Follower, record: &Record) -> usize {
    let mut differing = 0;
    let mut walk = record.walk();
    // What the timeline said last of a key, unless the server had something to add since.
    let mut shown = State::new();
    for told in &follower.answers {
        let before = if told.since.is_some() { walk.state.clone() } else { State::new() };
        if told.since.is_none() {
            shown.clear();
        }
        walk.advance(told.upto);
        shown.retain(|key, _| walk.state.get(key).is_none_or(|now| before.get(key) == Some(now)));
        let timeline = told.shown.iter().filter_map(|one| Some((one.key.clone()?, &one.id)));
        if follower.habits.section == StateSection::Before {
            shown.extend(timeline.map(|(key, id)| (key, id.clone())));
        }
        differing += check_state((follower, told), &walk, &shown);
    }
    differing
}

/// Compares one picture with what the server held.
fn check_state((follower, told): (&Follower, &Told), walk: &Walk<'_>, shown: &State) -> usize {
    let picture = &told.picture.state;
    let keys = picture.keys().chain(walk.state.keys()).collect::<BTreeSet<_>>();
    let mut differing = 0;
    for key in keys {
        let (here, there) = (picture.get(key), walk.state.get(key));
        if here == there {
            continue;
        }
        let is_dropped = there.is_none() && walk.removed.contains(key) && told.since.is_some();
        let is_shown = here.is_some() && shown.get(key) == here;
        assert!(
            is_dropped || is_shown,
            "{}: {key:?} is {here:?} after {:?} to {:?}, not {there:?}",
            name(follower),
            told.since,
            told.upto,
        );
        differing += 1;
    }
    differing
}

async fn check_timelines(follower: &Follower, record: &Record) {
    let mut all = HashSet::new();
    for told in &follower.answers {
        let ids = told.shown.iter().map(|one| &one.id).collect::<Vec<_>>();
        for id in &ids {
            assert!(all.insert(*id), "{}: {id} is told twice", name(follower));
        }
        let since = told.since.unwrap_or_default();
        let rows = record.rows.iter();
        let rows = rows.filter(|(position, _)| *position > since && *position <= told.upto);
        let rows = rows.map(|(_, id)| id).collect::<Vec<_>>();
        let Some(skipped) = rows.len().checked_sub(ids.len()) else {
            panic!("{}: told {ids:?} of {rows:?}", name(follower))
        };
        assert_eq!(rows[skipped..], ids, "{}: up to {:?}", name(follower), told.upto);
        if skipped == 0 {
            // Whoever knew the room knows then that nothing is missing.
            assert!(!told.is_limited || told.since.is_none(), "{}", name(follower));
        } else {
            assert!(told.is_limited, "{}: {skipped} of {rows:?}", name(follower));
            // Who is told the state before the timeline gets less of it where it holds state that
            // a resolution has replaced; what was left out is found behind it all the same.
            let is_full = ids.len() == follower.habits.limit;
            let may_begin_later = follower.habits.section == StateSection::Before;
            assert!(is_full || may_begin_later, "{}: {}", name(follower), ids.len());
            find_skipped(follower, told, rows[..skipped].iter().copied().collect()).await;
        }
    }
}

/// Pages back from where a limited timeline begins until all that it left out is found.
async fn find_skipped(follower: &Follower, told: &Told, mut skipped: HashSet<&OwnedEventId>) {
    let requester = follower.server.requester(follower.habits.user);
    let reading = Reading { user: requester.user_id(), device: None, room_id: &follower.room };
    let mut from = Some(point(&told.prev_batch));
    while !skipped.is_empty() {
        let Some(place) = from else { panic!("{}: {skipped:?} are lost", name(follower)) };
        let request = MessagesRequest {
            direction: Direction::Backward,
            from: Some(place),
            to: None,
            limit: PAGE,
            wanted: None,
            lazy_load_members: false,
        };
        let page = follower.server.rooms.messages(reading, request).await.unwrap();
        for visible in &page.events {
            skipped.remove(&visible.event.event_id().to_owned());
        }
        from = page.end.map(Point::Page);
    }
}

fn point(text: &str) -> Point {
    match text.parse::<PageToken>() {
        Ok(page) => Point::Page(page),
        Err(_) => Point::Position(text.parse::<SyncToken>().unwrap().position),
    }
}

/// Whether a client that comes new in the end sees what one that followed has put together.
pub(crate) fn check_same(new: &Follower, followed: &Follower, record: &Record) {
    let (new, old) = (&new.picture().state, &followed.picture().state);
    let mut walk = record.walk();
    walk.advance(Position(u64::MAX));
    let kept = old.iter().filter(|(key, _)| !walk.removed.contains(*key));
    let kept = kept.map(|(key, id)| (key.clone(), id.clone())).collect::<BTreeMap<Key, _>>();
    assert_eq!(&kept, new, "{}", name(followed));
    assert_eq!(new, &record.state, "{}", name(followed));
}
