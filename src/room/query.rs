//! What users read of rooms, as far as history visibility lets them.
//!
//! Spec: client-server API, "Getting events for a room", "Room history visibility".

use std::{fmt, str::FromStr, sync::Arc};

use proto::{number::Position, pdu::Pdu};
use ruma::{EventId, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;

use crate::{Event, Membership, Place, RoomError, Rooms};

/// The most events of a page.
pub const PAGE_MAX: usize = 1000;
/// The most events around one in `/context`.
pub const CONTEXT_MAX: usize = 100;

/// Who reads: a user and, for `transaction_id`, the device.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The device.
    pub device: Option<&'a ruma::DeviceId>,
    /// The room.
    pub room_id: &'a RoomId,
}

/// An event that its reader may see.
#[derive(Clone, Debug)]
pub struct Visible {
    /// The event.
    pub event: Arc<Event>,
    /// The reader's membership when it was sent.
    pub membership: Membership,
    /// The transaction id, if the reader's device sent it.
    pub transaction_id: Option<Arc<str>>,
}

impl Visible {
    /// Writes the event for its reader, with `room_id`.
    pub fn write(&self, now_ms: u64, out: &mut String) {
        let _ = (now_ms, out);
        todo!()
    }

    /// The event for its reader, with `room_id`.
    pub fn to_client(&self, now_ms: u64) -> Box<RawValue> {
        let _ = now_ms;
        todo!()
    }
}

/// A place between two events in a room's timeline order. As text: `t` depth `_` position; the place is right behind the event
/// there, so that going back begins with it and going forward begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageToken(pub Place);

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}_{}", self.0.depth, self.0.position)
    }
}

impl FromStr for PageToken {
    type Err = RoomError;

    fn from_str(text: &str) -> Result<Self, RoomError> {
        let parse = || {
            let (depth, position) = text.strip_prefix('t')?.split_once('_')?;
            let place = Place { depth: depth.parse().ok()?, position: position.parse().ok()? };
            Some(Self(place))
        };
        parse().ok_or_else(|| RoomError::InvalidParam("not a pagination token".to_owned()))
    }
}

/// A point of a room's history: both kinds of token are accepted wherever the specification allows either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// From a pagination token.
    Page(PageToken),
    /// From a sync token.
    Position(Position),
}

/// Which way to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// To older events.
    #[default]
    Backward,
    /// To newer events.
    Forward,
}

/// Which events are wanted.
pub type Wanted = Arc<dyn Fn(&Pdu) -> bool + Send + Sync>;

/// What `/messages` asks for.
#[derive(Clone)]
pub struct MessagesRequest {
    /// Which way.
    pub direction: Direction,
    /// From where; from the newest or oldest if `None`.
    pub from: Option<Point>,
    /// Not beyond.
    pub to: Option<Point>,
    /// At most so many, up to [`PAGE_MAX`].
    pub limit: usize,
    /// Which events; all if `None`.
    pub wanted: Option<Wanted>,
    /// Whether to add the member events of the page's senders.
    pub lazy_load_members: bool,
}

/// A page of `/messages`.
#[derive(Clone, Debug)]
pub struct MessagesPage {
    /// Where it began.
    pub start: PageToken,
    /// Where to go on; `None` when there is nothing more.
    pub end: Option<PageToken>,
    /// The events in the order asked for.
    pub events: Vec<Visible>,
    /// With lazy loading: the senders' member events.
    pub state: Vec<Arc<Event>>,
}

/// What `/context` answers.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the events before go on.
    pub start: PageToken,
    /// Where the events after go on.
    pub end: PageToken,
    /// The event.
    pub event: Visible,
    /// Those before it, newest first.
    pub before: Vec<Visible>,
    /// Those after it, oldest first.
    pub after: Vec<Visible>,
    /// The state at the last of them; with lazy loading only the senders' member events and what is no member event.
    pub state: Vec<Arc<Event>>,
}

/// What `/context` asks for.
#[derive(Clone)]
pub struct ContextRequest<'a> {
    /// The event.
    pub event_id: &'a EventId,
    /// How many around it, up to [`CONTEXT_MAX`].
    pub limit: usize,
    /// Which events around it; all if `None`.
    pub wanted: Option<Wanted>,
    /// Whether the state leaves out member events that no event here needs.
    pub lazy_load_members: bool,
}

/// What `/members` asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct MembersRequest {
    /// At which point; now if `None`.
    pub at: Option<Point>,
    /// Only this membership.
    pub membership: Option<Membership>,
    /// Not this membership.
    pub not_membership: Option<Membership>,
}

/// A joined member with the profile of the member event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// The user.
    pub user_id: OwnedUserId,
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

impl Rooms {
    /// One event.
    pub async fn event(
        &self,
        reading: Reading<'_>,
        event_id: &EventId,
    ) -> Result<Visible, RoomError> {
        let _ = (reading, event_id);
        todo!()
    }

    /// An event and what is around it.
    pub async fn context(
        &self,
        reading: Reading<'_>,
        request: ContextRequest<'_>,
    ) -> Result<Context, RoomError> {
        let _ = (reading, request);
        todo!()
    }

    /// A page of the timeline.
    pub async fn messages(
        &self,
        reading: Reading<'_>,
        request: MessagesRequest,
    ) -> Result<MessagesPage, RoomError> {
        let _ = (reading, request);
        todo!()
    }

    /// The current state, or, for those who left, the state when they did.
    pub async fn state(&self, reading: Reading<'_>) -> Result<Vec<Arc<Event>>, RoomError> {
        let _ = reading;
        todo!()
    }

    /// One event of that state.
    pub async fn state_event(
        &self,
        reading: Reading<'_>,
        event_type: &str,
        state_key: &str,
    ) -> Result<Arc<Event>, RoomError> {
        let _ = (reading, event_type, state_key);
        todo!()
    }

    /// The member events.
    pub async fn members(
        &self,
        reading: Reading<'_>,
        request: MembersRequest,
    ) -> Result<Vec<Arc<Event>>, RoomError> {
        let _ = (reading, request);
        todo!()
    }

    /// Who is joined; only for those who are joined themselves.
    pub async fn joined_members(
        &self,
        reading: Reading<'_>,
    ) -> Result<Vec<JoinedMember>, RoomError> {
        let _ = reading;
        todo!()
    }
}
