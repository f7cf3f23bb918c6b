//! What rooms ask of others, as small traits: who may do what beyond the protocol's rules, and
//! whose unread counts an event moves. What they ask of other servers stands in
//! [`crate::peers::Peers`].

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ruma::{RoomAliasId, RoomId, RoomVersionId, UserId};
use store::WriteTxn;

use crate::{Event, RoomView};

/// What a user of this server is about to do.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// Create a room of this version.
    Create(&'a RoomVersionId),
    /// Join a room.
    Join(&'a RoomId),
    /// Invite somebody to a room.
    Invite(&'a RoomId, &'a UserId),
    /// Point an alias at a room.
    CreateAlias(&'a RoomAliasId, &'a RoomId),
    /// Put a room into the public directory.
    Publish(&'a RoomId),
}

/// Rules of this server beyond the protocol's: an administrator's, or an appservice's namespaces.
pub trait Policy: Send + Sync + 'static {
    /// Whether the user may do this; the error is a sentence for the user.
    fn check(&self, user: &UserId, act: Act<'_>) -> Result<(), &'static str>;

    /// Whether a user of this server wants no invitations (client-server API, "Invite permission").
    fn blocks_invites<'a>(
        &'a self,
        _user: &'a UserId,
    ) -> BoxFuture<'a, Result<bool, store::Error>> {
        Box::pin(std::future::ready(Ok(false)))
    }

    /// Whether the user asked for erasure: her events are served redacted to those who were not in
    /// the room when they were sent.
    fn is_erased(&self, _user: &UserId) -> bool {
        false
    }
}

/// The policy of a server without rules of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn check(&self, _user: &UserId, _act: Act<'_>) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Rows that belong to an event's own change.
pub type Rows = Box<dyn Fn(&mut WriteTxn<'_>) -> Result<(), store::Error> + Send + Sync>;

/// Evaluates push rules against the state at an event, before its commit.
pub trait PushActions: Send + Sync + 'static {
    /// The rows that count the event for those whom it notifies; `None` when it notifies nobody.
    fn evaluate(&self, event: &Arc<Event>, view: &RoomView) -> Option<Rows>;
}
