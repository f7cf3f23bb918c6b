//! The open sessions of user-interactive authentication, in memory.
//!
//! A restart ends them, which costs a user who was in the middle her stages once more: an unknown
//! session is answered like none at all, with the flows and a new one. Synapse keeps them in the
//! database and answers an unknown one with an error, so no client can rely on an old session.
//!
//! Invariant: at most [`MAX_SESSIONS`] sessions whose bodies have at most [`MAX_BYTES`] together;
//! the oldest make room.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use ruma::{OwnedUserId, api::client::uiaa::AuthType};
use serde_json::{Map, Value};

use crate::{Requester, registration_token::PendingUse};

const MAX_SESSIONS: usize = 10_000;

const MAX_BYTES: usize = 16 << 20;

/// A session that nobody went on with for so long ends.
const LIFETIME_MS: u64 = 3_600_000;

/// The operation to be authorised.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's path, as sent.
    pub path: &'a str,
    /// The whole request body, with `auth`.
    pub body: &'a Map<String, Value>,
    /// Who asks; none when registering.
    pub requester: Option<&'a Requester>,
}

/// An authorised operation.
#[derive(Clone)]
pub struct Authorized {
    /// The request body without `auth`: that of the first request when the last one carried only
    /// `auth`.
    pub body: Map<String, Value>,
    /// The registration token that was shown, to be used up by the registration.
    pub registration_token: Option<String>,
    /// Which session it was.
    pub(crate) session: String,
    /// Keeps the token's use for this registration for as long as the operation goes on.
    _token_use: Option<Arc<PendingUse>>,
}

/// What a session is about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Purpose {
    method: String,
    path: String,
    user: Option<OwnedUserId>,
}

/// A session of user-interactive authentication.
#[derive(Clone)]
pub(crate) struct UiaSession {
    purpose: Purpose,
    /// Without `auth`.
    pub(crate) body: Map<String, Value>,
    pub(crate) completed: Vec<AuthType>,
    /// Whether it is for this body and no other any more.
    is_bound: bool,
    /// The registration token that was shown.
    token: Option<String>,
    /// Its use, taken until the flow is complete.
    token_use: Option<Arc<PendingUse>>,
}

impl Purpose {
    fn of(operation: Operation<'_>) -> Self {
        Self {
            method: operation.method.to_owned(),
            path: operation.path.to_owned(),
            user: operation.requester.map(|requester| requester.user_id().to_owned()),
        }
    }
}

impl UiaSession {
    pub(crate) fn new(operation: Operation<'_>, body: Map<String, Value>) -> Self {
        let (purpose, completed) = (Purpose::of(operation), Vec::new());
        Self { purpose, body, completed, is_bound: false, token: None, token_use: None }
    }

    /// Whose operation it is; none when registering.
    pub(crate) fn user(&self) -> Option<&OwnedUserId> {
        self.purpose.user.as_ref()
    }

    /// Takes the body of a further request; false if it is for another one. A request that carries
    /// nothing but `auth` means the body that is there.
    pub(crate) fn take_body(&mut self, body: &Map<String, Value>) -> bool {
        if body.is_empty() || *body == self.body {
            return true;
        }
        if !self.is_bound {
            self.body.clone_from(body);
        }
        !self.is_bound
    }

    /// Whether it authorises this operation and no other.
    pub(crate) fn is_for(&self, operation: Operation<'_>) -> bool {
        self.purpose == Purpose::of(operation)
    }

    /// Notes that a stage was passed with a request of this body.
    pub(crate) fn pass(&mut self, stage: AuthType, token_use: Option<Arc<PendingUse>>) {
        self.is_bound = true;
        self.note(stage, token_use);
    }

    /// Notes that a stage was passed in a browser, which knows the body only if there is one yet.
    pub(crate) fn pass_in_browser(&mut self, stage: AuthType, token_use: Option<Arc<PendingUse>>) {
        self.is_bound |= !self.body.is_empty();
        self.note(stage, token_use);
    }

    fn note(&mut self, stage: AuthType, token_use: Option<Arc<PendingUse>>) {
        self.completed.push(stage);
        if let Some(token_use) = token_use {
            self.token = Some(token_use.token().to_owned());
            self.token_use = Some(token_use);
        }
    }

    /// Hands the authorised operation out. The token's use goes along, so that it ends with the
    /// registration.
    pub(crate) fn authorize(&mut self, id: &str) -> Authorized {
        self.is_bound = true;
        Authorized {
            session: id.to_owned(),
            body: self.body.clone(),
            registration_token: self.token.clone(),
            _token_use: self.token_use.take(),
        }
    }
}

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

    /// Ends a session.
    pub(crate) fn remove(&mut self, id: &str) {
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
