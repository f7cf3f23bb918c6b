//! The open sessions of user-interactive authentication, in memory.
//!
//! A restart ends them, which costs a user who was in the middle her stages once more: an unknown
//! session is answered like none at all, with the flows and a new one. Synapse keeps them in the
//! database and answers an unknown one with an error, so no client can rely on an old session.
//!
//! Invariant: at most [`MAX_SESSIONS`] sessions whose bodies have at most [`MAX_BYTES`] together;
//! the oldest make room.

use std::collections::{HashMap, VecDeque};

use crate::uia::UiaSession;

const MAX_SESSIONS: usize = 10_000;

const MAX_BYTES: usize = 16 << 20;

/// A session that nobody went on with for so long ends.
const LIFETIME_MS: u64 = 3_600_000;

/// The open sessions.
#[derive(Default)]
pub(crate) struct UiaSessions {
    sessions: HashMap<String, Entry>,
    /// Sessions in the order of their insertion; an entry whose time is not that of its session is
    /// an old one.
    order: VecDeque<(String, u64)>,
    bytes: usize,
    inserted: u64,
}

struct Entry {
    session: UiaSession,
    expires_ms: u64,
    bytes: usize,
    inserted: u64,
}

impl UiaSessions {
    /// The session, unless it has expired.
    pub(crate) fn find(&self, id: &str, now_ms: u64) -> Option<UiaSession> {
        let entry = self.sessions.get(id)?;
        (entry.expires_ms > now_ms).then(|| entry.session.clone())
    }

    /// Adds or replaces a session.
    pub(crate) fn insert(&mut self, id: String, session: UiaSession, now_ms: u64) {
        self.remove(&id);
        let bytes = size(&session);
        self.inserted += 1;
        let inserted = self.inserted;
        self.order.push_back((id.clone(), inserted));
        self.bytes += bytes;
        let expires_ms = now_ms.saturating_add(LIFETIME_MS);
        self.sessions.insert(id, Entry { session, expires_ms, bytes, inserted });
        if self.order.len() > 2 * MAX_SESSIONS {
            let Self { sessions, order, .. } = self;
            order.retain(|(id, at)| sessions.get(id).is_some_and(|entry| entry.inserted == *at));
        }
        self.make_room(now_ms);
    }

    fn remove(&mut self, id: &str) {
        if let Some(entry) = self.sessions.remove(id) {
            self.bytes -= entry.bytes;
        }
    }

    /// Drops the oldest: those that have expired, and as many as are too many.
    fn make_room(&mut self, now_ms: u64) {
        while let Some((id, inserted)) = self.order.front().cloned() {
            let entry = self.sessions.get(&id).filter(|entry| entry.inserted == inserted);
            let stays = entry.is_some_and(|entry| entry.expires_ms > now_ms);
            if stays && self.sessions.len() <= MAX_SESSIONS && self.bytes <= MAX_BYTES {
                break;
            }
            if entry.is_some() {
                self.remove(&id);
            }
            self.order.pop_front();
        }
    }
}

/// About what a session takes.
fn size(session: &UiaSession) -> usize {
    512 + serde_json::to_vec(&session.body).map_or(0, |json| 2 * json.len())
}
