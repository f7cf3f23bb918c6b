//! Which rooms belong into an answer, and into which section, from the user's memberships now and
//! since the token.
//!
//! Invariant: what counts is the membership at the answer's position; what happened between only
//! says from where on the client knows the room. A room is in one section at most.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proto::number::{Position, RoomNumber};
use room::Membership as State;

use crate::membership::{Membership, Memberships};

/// A move of the user's own membership in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) room: RoomNumber,
    pub(crate) position: Position,
    /// The membership before.
    pub(crate) from: State,
    /// The membership after.
    pub(crate) to: State,
}

/// What the client asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    /// Up to where the client knows everything; none in an initial sync.
    pub(crate) since: Option<Position>,
    /// Whether the whole state of all rooms is wanted.
    pub(crate) full_state: bool,
}

/// Rooms by section.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) joined: Vec<Visit>,
    pub(crate) invited: Vec<(RoomNumber, Membership)>,
    pub(crate) knocked: Vec<(RoomNumber, Membership)>,
    pub(crate) left: Vec<Departure>,
}

/// A joined room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    pub(crate) room: RoomNumber,
    /// The timeline goes on from here; none if the client does not know the room.
    pub(crate) since: Option<Position>,
    /// Whether the whole state is due, not only what changed.
    pub(crate) whole_state: bool,
    pub(crate) membership: Membership,
}

/// A room that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) room: RoomNumber,
    /// The timeline goes on from here; none if the client does not know the room.
    pub(crate) since: Option<Position>,
    /// Whether the whole state is due.
    pub(crate) whole_state: bool,
    /// The stay that ended; none if the user was not in the room since the token, so that only the
    /// departure itself is hers to see.
    pub(crate) stay: Option<Stay>,
    /// What she is now. Whoever left may have been banned later: this is behind the stay's end.
    pub(crate) membership: Membership,
}

/// The last time that the user was in a room which she left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    /// The position at which it ended; what came later is not hers to see.
    pub(crate) end: Position,
    /// Whether it is known to have begun before the token, so that she was there all the time
    /// between the two.
    pub(crate) is_whole: bool,
}

/// A room that was left before the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Archived {
    /// Where the last stay ended, if there was one.
    pub(crate) stay_end: Option<Position>,
}

/// How the user came to her present membership.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// The membership at the token.
    first: State,
    was_away: bool,
    /// Where the last stay ended.
    stay_end: Option<Position>,
    /// How many stays ended.
    stays: usize,
}

impl Plan {
    /// Sorts the rooms. `touched` are those in which anything happened; `archived` those that were
    /// left earlier and belong into an answer to somebody who asks for everything.
    pub(crate) fn new(
        memberships: &Memberships,
        passages: &[Passage],
        scope: Scope,
        touched: &HashSet<RoomNumber>,
        archived: &HashMap<RoomNumber, Archived>,
    ) -> Self {
        let ways = ways(passages);
        let mut plan = Self::default();
        if scope.is_everything() {
            for (room, membership) in memberships {
                let way = ways.get(room).copied();
                plan.sort((*room, *membership), way, scope, archived.get(room).copied());
            }
            return plan;
        }
        // However many rooms somebody has, an answer costs what happened.
        let moved = ways.keys().chain(touched).copied().collect::<BTreeSet<_>>();
        for room in moved {
            if let Some(membership) = memberships.get(&room) {
                plan.sort((room, *membership), ways.get(&room).copied(), scope, None);
            }
        }
        plan
    }

    fn sort(
        &mut self,
        (room, membership): (RoomNumber, Membership),
        way: Option<Way>,
        scope: Scope,
        archived: Option<Archived>,
    ) {
        // Invitations and knocks are told when they happen, and to those who ask for everything.
        let is_news = way.is_some() || scope.is_everything();
        match membership.state {
            State::Join => self.joined.push(Visit::new(room, membership, way, scope)),
            State::Invite if is_news => self.invited.push((room, membership)),
            State::Knock if is_news => self.knocked.push((room, membership)),
            State::Invite | State::Knock => {}
            State::Leave | State::Ban => {
                let recent = way.filter(|_| scope.since.is_some());
                let recent = recent.map(|way| Departure::recent(room, membership, way, scope));
                let old = || archived.map(|archived| Departure::old(room, membership, archived));
                self.left.extend(recent.or_else(old));
            }
        }
    }
}

impl Scope {
    /// Whether all rooms are asked for, not only those in which anything happened.
    pub(crate) fn is_everything(self) -> bool {
        self.since.is_none() || self.full_state
    }
}

fn ways(passages: &[Passage]) -> BTreeMap<RoomNumber, Way> {
    let mut ways = BTreeMap::new();
    for passage in passages {
        let way = ways.entry(passage.room).or_insert(Way { first: passage.from, ..Way::default() });
        if passage.to == State::Join {
            continue;
        }
        way.was_away = true;
        if passage.from == State::Join {
            way.stay_end = Some(passage.position);
            way.stays += 1;
        }
    }
    ways
}

impl Visit {
    fn new(room: RoomNumber, membership: Membership, way: Option<Way>, scope: Scope) -> Self {
        let is_new = way.is_some_and(|way| way.first != State::Join || way.was_away);
        let since = scope.since.filter(|_| !is_new);
        Self { room, since, whole_state: since.is_none() || scope.full_state, membership }
    }
}

impl Departure {
    /// Somebody left since the token.
    fn recent(room: RoomNumber, membership: Membership, way: Way, scope: Scope) -> Self {
        let since = scope.since.filter(|_| way.first == State::Join);
        let is_whole = since.is_some() && way.stays == 1;
        let stay = way.stay_end.map(|end| Stay { end, is_whole });
        let whole_state = stay.is_some() && (since.is_none() || scope.full_state);
        Self { room, since, whole_state, stay, membership }
    }

    /// Somebody left before the token and asks again: she gets the room as it was then.
    fn old(room: RoomNumber, membership: Membership, archived: Archived) -> Self {
        let stay = archived.stay_end.map(|end| Stay { end, is_whole: false });
        Self { room, since: None, whole_state: stay.is_some(), stay, membership }
    }
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
