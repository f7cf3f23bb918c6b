//! What can go wrong with rooms. The client API maps each case to one `M_…` code and status.

use proto::auth::Denied;
use ruma::{OwnedEventId, RoomVersionId};

/// Why something about a room was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RoomError {
    /// The database failed: `M_UNKNOWN`, 500.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The authorization rules deny the event: `M_FORBIDDEN`, 403.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// Anything else that this user may not do: `M_FORBIDDEN`, 403. The reason as a sentence.
    #[error("{0}")]
    Forbidden(&'static str),
    /// A change of membership that asks for what cannot be, as the membership is another one:
    /// `M_BAD_STATE`, 403.
    #[error("{0}")]
    BadState(&'static str),
    /// The user who is to be invited wants no invitations: `M_INVITE_BLOCKED`, 403.
    #[error("this user wants no invitations")]
    InviteBlocked,
    /// The user is not in the room and never was, or the room is not known, which is not told
    /// apart: `M_FORBIDDEN`, 403.
    #[error("you are not in this room")]
    NotInRoom,
    /// No such room, where that may be said: `M_NOT_FOUND`, 404.
    #[error("no such room is known to this server")]
    RoomNotFound,
    /// No such event, or not visible: `M_NOT_FOUND`, 404.
    #[error("no such event, or you may not see it")]
    EventNotFound,
    /// The room has no such state: `M_NOT_FOUND`, 404.
    #[error("the room has no such state")]
    StateNotFound,
    /// No such alias: `M_NOT_FOUND`, 404.
    #[error("no such room alias")]
    AliasNotFound,
    /// The alias is taken: `M_ROOM_IN_USE`, 400 in createRoom; `M_UNKNOWN`, 409 in the directory.
    #[error("the room alias is already taken")]
    AliasTaken,
    /// An `m.room.canonical_alias` names an alias that does not point here: `M_BAD_ALIAS`, 400.
    #[error("{0}")]
    BadAlias(String),
    /// The event, its type or its state key is larger than allowed: `M_TOO_LARGE`, 413.
    #[error("the event, its type or its state key is too large")]
    TooLarge,
    /// The content is not as it has to be: `M_BAD_JSON`, 400.
    #[error("{0}")]
    BadContent(String),
    /// A parameter is not as it has to be: `M_INVALID_PARAM`, 400.
    #[error("{0}")]
    InvalidParam(String),
    /// The initial state of a room contradicts itself: `M_INVALID_ROOM_STATE`, 400.
    #[error("{0}")]
    InvalidRoomState(String),
    /// A room version that this server does not have: `M_UNSUPPORTED_ROOM_VERSION`, 400.
    #[error("room version {0} is not supported")]
    UnsupportedVersion(RoomVersionId),
    /// A room version that the other server does not have: `M_INCOMPATIBLE_ROOM_VERSION`, 400.
    #[error("the room has version {0}, which is not among those offered")]
    IncompatibleVersion(RoomVersionId),
    /// No local user can authorise a restricted join: `M_UNABLE_TO_GRANT_JOIN`, 400.
    #[error("no user of this server may authorise the join")]
    UnableToGrantJoin,
    /// This server cannot tell whether the rule lets the user in: `M_UNABLE_TO_AUTHORISE_JOIN`,
    /// 400.
    #[error("this server cannot tell whether the join rule lets the user in")]
    UnableToAuthoriseJoin,
    /// The user is still in the room: `M_UNKNOWN`, 400.
    #[error("you are still in this room")]
    StillInRoom,
    /// More than a named limit that does not go by time, so that nobody shall try the same again:
    /// `M_UNKNOWN`, 400.
    #[error("{0}")]
    Limit(&'static str),
    /// The room changed under the caller more often than is tried again: `M_UNKNOWN`, 500.
    #[error("the room is too busy")]
    Busy,
    /// Another server's event is not one: it is dropped.
    #[error("event {event:?} is dropped: {reason}")]
    Dropped {
        /// Its id, if it has one.
        event: Option<OwnedEventId>,
        /// Why.
        reason: String,
    },
    /// No other server could be asked, or none answered as it must: `M_UNKNOWN`, 502.
    #[error("no other server could help: {0}")]
    Peer(String),
    /// Something that is stored contradicts itself: `M_UNKNOWN`, 500.
    #[error("the stored room is damaged: {0}")]
    Damaged(String),
}
