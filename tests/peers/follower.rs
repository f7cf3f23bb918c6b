//! A client that follows the room by `/sync` and makes its picture of it from nothing but the
//! answers, as the specification tells clients to: by `state_after` alone where it asked for that
//! (MSC4222), else by `state` and then the timeline's state events.
//!
//! Spec: client-server API, "Syncing".

use std::{sync::Arc, time::Duration};

use ruma::{OwnedEventId, OwnedRoomId, presence::PresenceState};
use serde_json::{Value, json};
use store::{Position, testing::SeededRandom};
use sync::{StateSection, SyncRequest, token::SyncToken};
use tokio::sync::watch;

use crate::{
    record::{Key, State},
    server::Server,
};

/// Longer than any play.
const PATIENCE: Duration = Duration::from_mins(1);
/// So many answers at most a client falls back when it comes with an old token.
const BACK_MAX: u64 = 4;

/// How a client comes and asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Who it is.
    pub(crate) user: &'static str,
    /// Whether that user is in the room all the time.
    pub(crate) stays: bool,
    pub(crate) section: StateSection,
    /// The timeline's limit.
    pub(crate) limit: usize,
    /// The most steps of the play between two requests; 0: it always waits for an answer.
    pub(crate) pace: u64,
    /// Whether it loses answers, and sometimes all that it was told lately.
    pub(crate) is_forgetful: bool,
    /// Whether its server has just started, each time.
    pub(crate) is_cold: bool,
}

/// A client, and what it was told.
pub(crate) struct Follower {
    pub(crate) server: Arc<Server>,
    pub(crate) habits: Habits,
    pub(crate) room: OwnedRoomId,
    pub(crate) answers: Vec<Told>,
    picture: Picture,
    random: SeededRandom,
}

/// What a client knows.
#[derive(Clone, Default)]
pub(crate) struct Picture {
    since: Option<String>,
    is_joined: bool,
    pub(crate) state: State,
    pub(crate) joined_count: Option<u64>,
    pub(crate) invited_count: Option<u64>,
}

/// What an answer told of the room while the client's user was in it.
pub(crate) struct Told {
    /// Up to where the client knew everything; none if it did not know the room.
    pub(crate) since: Option<Position>,
    pub(crate) upto: Position,
    /// The timeline.
    pub(crate) shown: Vec<Shown>,
    pub(crate) is_limited: bool,
    pub(crate) prev_batch: String,
    /// What the client knows afterwards.
    pub(crate) picture: Picture,
}

/// A timeline event.
pub(crate) struct Shown {
    pub(crate) id: OwnedEventId,
    pub(crate) key: Option<Key>,
}

impl Follower {
    /// A client that knows nothing.
    pub(crate) fn new(server: &Arc<Server>, room: &OwnedRoomId, habits: Habits) -> Self {
        Self {
            server: Arc::clone(server),
            habits,
            room: room.clone(),
            answers: Vec::new(),
            picture: Picture::default(),
            random: SeededRandom::new(habits.pace + 1),
        }
    }

    /// A client that has followed since before the room was there.
    pub(crate) fn early(server: &Arc<Server>, room: &OwnedRoomId, habits: Habits) -> Self {
        let mut early = Self::new(server, room, habits);
        early.picture.since = Some(server.start.clone());
        early
    }

    /// Whether the user is in the room, for all that the client knows.
    pub(crate) fn is_joined(&self) -> bool {
        self.picture.is_joined
    }

    /// What the client knows.
    pub(crate) fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Follows the play for as long as it lasts.
    pub(crate) async fn follow(&mut self, mut clock: watch::Receiver<usize>) {
        let Habits { pace, is_forgetful, .. } = self.habits;
        let timeout = if pace == 0 { PATIENCE } else { Duration::ZERO };
        loop {
            let answer = self.ask(timeout).await;
            if is_forgetful && self.random.below(3) == 0 {
                self.fall_back();
            } else {
                self.take(&answer);
            }
            if pace > 0 {
                let pause = usize::try_from(1 + self.random.below(pace)).unwrap();
                let next = *clock.borrow_and_update() + pause;
                if clock.wait_for(|step| *step >= next).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Asks until there is nothing more to be told.
    pub(crate) async fn catch_up(&mut self) {
        loop {
            let answer = self.ask(Duration::ZERO).await;
            self.take(&answer);
            let rooms = &answer["rooms"];
            if rooms["join"].is_null() && rooms["leave"].is_null() {
                return;
            }
        }
    }

    /// Asks once as a client that knows nothing.
    pub(crate) async fn begin(&mut self) {
        let answer = self.ask(Duration::ZERO).await;
        self.take(&answer);
    }

    async fn ask(&self, timeout: Duration) -> Value {
        let filter = json!({ "room": { "timeline": { "limit": self.habits.limit } } });
        let request = SyncRequest {
            since: self.picture.since.clone(),
            filter: Some(filter.to_string()),
            state: self.habits.section,
            set_presence: PresenceState::Offline,
            timeout,
            ..SyncRequest::default()
        };
        let requester = self.server.requester(self.habits.user);
        self.server.sync(requester, request, self.habits.is_cold).await
    }

    /// The answer is lost; every other time with it goes what the last ones told, as after a crash
    /// before the client wrote them down. It will come with the old token again.
    fn fall_back(&mut self) {
        if self.random.below(2) == 0 {
            return;
        }
        let kept = self.answers.len()
            - usize::try_from(self.random.below(BACK_MAX)).unwrap().min(self.answers.len());
        self.answers.truncate(kept);
        self.picture = self.answers.last().map(|told| told.picture.clone()).unwrap_or_default();
    }

    /// Makes the picture new by an answer.
    fn take(&mut self, answer: &Value) {
        let next = answer["next_batch"].as_str().unwrap().to_owned();
        let since = self.picture.since.replace(next.clone());
        let rooms = &answer["rooms"];
        if rooms["leave"].get(self.room.as_str()).is_some() {
            self.picture = Picture { since: Some(next), ..Picture::default() };
            return;
        }
        let joined = &rooms["join"][self.room.as_str()];
        if joined.is_null() && !self.picture.is_joined {
            return;
        }
        let since = since.filter(|_| self.picture.is_joined).map(|since| position(&since));
        self.picture.is_joined = true;
        let shown = self.fold(joined);
        self.answers.push(Told {
            since,
            upto: position(&next),
            shown,
            is_limited: joined["timeline"]["limited"] == true,
            prev_batch: joined["timeline"]["prev_batch"].as_str().unwrap_or_default().to_owned(),
            picture: self.picture.clone(),
        });
    }

    /// Applies what is told of the room; gives the timeline.
    fn fold(&mut self, joined: &Value) -> Vec<Shown> {
        let sections = ["state", "state_after", "org.matrix.msc4222.state_after"];
        let own = match self.habits.section {
            StateSection::Before => sections[0],
            StateSection::After => sections[1],
            StateSection::AfterUnstable => sections[2],
        };
        for other in sections.into_iter().filter(|section| *section != own) {
            assert!(joined[other].is_null(), "{other} was not asked for");
        }
        let timeline = events(&joined["timeline"]);
        for Shown { id, key } in events(&joined[own]) {
            self.picture.state.insert(key.expect("it is a state event"), id);
        }
        if own == sections[0] {
            let state = timeline.iter().filter_map(|one| Some((one.key.clone()?, one.id.clone())));
            self.picture.state.extend(state);
        }
        let summary = &joined["summary"];
        let count = |name: &str, known| summary[name].as_u64().or(known);
        self.picture.joined_count = count("m.joined_member_count", self.picture.joined_count);
        self.picture.invited_count = count("m.invited_member_count", self.picture.invited_count);
        timeline
    }
}

fn events(section: &Value) -> Vec<Shown> {
    let Some(events) = section["events"].as_array() else { return Vec::new() };
    let shown = |event: &Value| {
        let text = |field: &str| event[field].as_str().map(str::to_owned);
        Shown {
            id: text("event_id").unwrap().try_into().unwrap(),
            key: text("state_key").map(|key| (text("type").unwrap(), key)),
        }
    };
    events.iter().map(shown).collect()
}

/// The place of a token in the order of what is durable.
fn position(token: &str) -> Position {
    token.parse::<SyncToken>().unwrap().position
}
