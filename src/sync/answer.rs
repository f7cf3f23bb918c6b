//! An answer as values, before it is written: what every stream found, by the sections of the
//! response.

use std::sync::Arc;

use room::{Event, Membership};
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::value::RawValue;
use user::presence::UserPresence;

use crate::token::SyncToken;

/// What a client is told. Sections without content are left out when it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What the client holds afterwards.
    pub(crate) next: SyncToken,
    /// The user's own account data.
    pub(crate) account_data: Vec<AccountDatum>,
    /// Presence of whom she shares rooms with.
    pub(crate) presence: Vec<UserPresence>,
    /// Rooms that she is joined to.
    pub(crate) joined: Vec<JoinedRoom>,
    /// Rooms that she is invited to.
    pub(crate) invited: Vec<StrippedRoom>,
    /// Rooms that she has knocked on.
    pub(crate) knocked: Vec<StrippedRoom>,
    /// Rooms that she has left or was removed from.
    pub(crate) left: Vec<LeftRoom>,
}

/// One entry of account data.
#[derive(Clone, Debug)]
pub(crate) struct AccountDatum {
    /// Its type.
    pub(crate) kind: Arc<str>,
    /// Its content.
    pub(crate) content: Arc<RawValue>,
}

/// A room that the user is joined to.
#[derive(Debug)]
pub(crate) struct JoinedRoom {
    pub(crate) id: OwnedRoomId,
    /// Written only where it changed.
    pub(crate) summary: Option<Summary>,
    pub(crate) timeline: Timeline,
    pub(crate) state: Vec<Arc<Event>>,
    /// Typing and receipts, serialised.
    pub(crate) ephemeral: Vec<String>,
    pub(crate) account_data: Vec<AccountDatum>,
    /// Whether the client asked for counts by thread.
    pub(crate) by_thread: bool,
}

/// A room that the user has left.
#[derive(Debug)]
pub(crate) struct LeftRoom {
    pub(crate) id: OwnedRoomId,
    pub(crate) timeline: Timeline,
    pub(crate) state: Vec<Arc<Event>>,
    pub(crate) account_data: Vec<AccountDatum>,
}

/// A room that the user is not in, as far as it shows itself.
#[derive(Debug)]
pub(crate) struct StrippedRoom {
    pub(crate) id: OwnedRoomId,
    /// Stripped state events, serialised.
    pub(crate) events: Vec<String>,
}

/// What a room without a name is shown by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Needed only where the room has neither name nor alias.
    pub(crate) heroes: Option<Vec<OwnedUserId>>,
    pub(crate) joined: usize,
    pub(crate) invited: usize,
}

/// A stretch of a room's timeline.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Oldest first.
    pub(crate) events: Vec<TimelineEvent>,
    /// Whether events between the last answer and the first of these were left out.
    pub(crate) limited: bool,
    /// Where the events before the first go on.
    pub(crate) prev_batch: String,
}

/// An event of a timeline, for its reader.
#[derive(Clone, Debug)]
pub(crate) struct TimelineEvent {
    pub(crate) event: Arc<Event>,
    /// The reader's membership when it was sent.
    pub(crate) membership: Option<Membership>,
    /// The transaction id, if the reader's device sent it.
    pub(crate) transaction_id: Option<Arc<str>>,
}

impl Answer {
    /// An answer that has nothing to tell yet.
    pub(crate) fn new(next: SyncToken) -> Self {
        Self {
            next,
            account_data: Vec::new(),
            presence: Vec::new(),
            joined: Vec::new(),
            invited: Vec::new(),
            knocked: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Whether it has nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.account_data.is_empty()
            && self.presence.is_empty()
            && self.joined.is_empty()
            && self.invited.is_empty()
            && self.knocked.is_empty()
            && self.left.is_empty()
    }
}

impl JoinedRoom {
    /// Whether there is nothing to tell of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.summary.is_none()
            && self.timeline.events.is_empty()
            && !self.timeline.limited
            && self.state.is_empty()
            && self.ephemeral.is_empty()
            && self.account_data.is_empty()
    }
}
