//! Presence: who is online. In memory only.

use std::sync::Arc;

use proto::number::RoomNumber;
use ruma::{OwnedUserId, UserId, presence::PresenceState};

use crate::{Error, Requester};

/// Who is online.
#[derive(Clone)]
pub struct Presence {}

/// The presence of one user now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// Who.
    pub user_id: OwnedUserId,
    /// The state.
    pub state: PresenceState,
    /// The status message.
    pub status_msg: Option<String>,
    /// Milliseconds since she last did something, if she ever did.
    pub last_active_ago_ms: Option<u64>,
    /// Whether she is doing something just now.
    pub currently_active: bool,
    /// The ephemeral counter of the last change.
    pub changed: u64,
    /// The rooms that she was joined to at that change.
    pub rooms: Arc<[RoomNumber]>,
}

impl Presence {
    /// Sets state and message (`PUT /presence/{userId}/status`).
    pub async fn set(
        &self,
        requester: &Requester,
        state: PresenceState,
        status_msg: Option<String>,
    ) -> Result<(), Error> {
        let _ = (requester, state, status_msg);
        todo!()
    }

    /// The presence of a user as the requester may see it: her own, or that of somebody she shares a room with.
    pub async fn find(
        &self,
        requester: &Requester,
        user_id: &UserId,
    ) -> Result<UserPresence, Error> {
        let _ = (requester, user_id);
        todo!()
    }

    /// Notes a `/sync` with its `set_presence`; dropping the guard ends it, and the user is online for 30 s more.
    pub async fn syncing(
        &self,
        requester: &Requester,
        set_presence: &PresenceState,
    ) -> Result<SyncingGuard, Error> {
        let _ = (requester, set_presence);
        todo!()
    }

    /// Notes that the user did something.
    pub async fn active(&self, requester: &Requester) -> Result<(), Error> {
        let _ = requester;
        todo!()
    }

    /// Everybody whose presence changed after this ephemeral counter; 0 gives everybody whom it knows.
    pub fn changed_since(&self, counter: u64) -> Vec<UserPresence> {
        let _ = counter;
        todo!()
    }
}

/// A running `/sync`.
pub struct SyncingGuard {}
