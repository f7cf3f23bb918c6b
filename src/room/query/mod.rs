//! What users read of rooms, as far as history visibility lets them.
//!
//! Spec: client-server API, "Getting events for a room", "Room history visibility".

use std::{fmt, str::FromStr, sync::Arc};

use proto::{
    number::{Position, UserNumber},
    pdu::Pdu,
    visibility::HistoryVisibility,
};
use ruma::{EventId, OwnedDeviceId, OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;
use store::room::event::Reader as ClientReader;

use crate::{
    Event, Membership, Place, RoomError, RoomView, Rooms,
    visibility::{Eye, Sight},
};

mod context;
mod members;
mod messages;
mod state;

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
        self.event.write(self.reader(now_ms), out);
    }

    /// The event for its reader, with `room_id`.
    pub fn to_client(&self, now_ms: u64) -> Box<RawValue> {
        self.event.to_client(self.reader(now_ms))
    }

    fn reader(&self, now_ms: u64) -> ClientReader<'_> {
        ClientReader {
            with_room_id: true,
            now_ms: Some(now_ms),
            transaction_id: self.transaction_id.as_deref(),
            membership: Some(self.membership.as_str()),
        }
    }
}

/// A place between two events in a room's timeline order. As text: `t` depth `_` position; the
/// place is right behind the event there, so that going back begins with it and going forward
/// begins after it.
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

/// A point of a room's history: both kinds of token are accepted wherever the specification allows
/// either.
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
    /// The state at the last of them; with lazy loading only the senders' member events and what is
    /// no member event.
    pub state: Vec<Arc<Event>>,
}

/// What `/context` asks for.
#[derive(Clone)]
pub struct ContextRequest<'a> {
    /// The event.
    pub event_id: &'a EventId,
    /// How many around it, up to [`CONTEXT_MAX`].
    pub limit: usize,
    /// Which events around it and of the state; all if `None`.
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
    /// Not this membership; with the one above, whoever fits either.
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

/// A reader who was let in.
#[derive(Clone)]
struct Reader {
    /// Taken before the snapshot begins, so that the snapshot has all that it names.
    view: Arc<RoomView>,
    user_id: OwnedUserId,
    /// `None` for somebody whom the store does not know, or who has forgotten the room.
    user: Option<UserNumber>,
    device: Option<OwnedDeviceId>,
    membership: Membership,
    joined_until: Option<Position>,
    sight: Sight,
}

impl Reader {
    fn eye(&self) -> Eye {
        Eye::new(self.sight.clone(), self.user, self.membership, self.joined_until)
    }

    fn is_joined(&self) -> bool {
        self.membership == Membership::Join
    }

    /// Whether everybody may read the room now.
    fn is_open(&self) -> bool {
        self.view.history_visibility() == HistoryVisibility::WorldReadable
    }

    /// Up to where there can be something to see: those who left see nothing that came later,
    /// unless everybody does.
    fn upto(&self, newest: Position) -> Position {
        if self.is_joined() || self.is_open() {
            return newest;
        }
        self.joined_until.map_or(newest, |until| until.min(newest))
    }
}

impl Rooms {
    /// A reader of a room, whoever it is.
    async fn reader(&self, reading: Reading<'_>) -> Result<Reader, RoomError> {
        let room = self.known(reading.room_id).await?;
        let mut user = self.inner.find_user(reading.user).await?;
        let (mut membership, mut joined_until) = (Membership::Leave, None);
        if let Some(number) = user
            && let Some(entry) = self.memberships(number).await?.get(&room.number())
        {
            if entry.forgotten {
                // Who has forgotten a room is to it as somebody who never was there, whatever the
                // states of that time say.
                user = None;
            } else {
                membership = entry.membership;
                joined_until = entry.joined_until;
            }
        }
        Ok(Reader {
            view: room.view(),
            user_id: reading.user.to_owned(),
            user,
            device: reading.device.map(ToOwned::to_owned),
            membership,
            joined_until,
            sight: self.sight(),
        })
    }

    /// A reader who is or was in the room, or whom an open room lets in.
    async fn insider(&self, reading: Reading<'_>) -> Result<Reader, RoomError> {
        let reader = self.reader(reading).await?;
        if reader.is_joined() || reader.joined_until.is_some() || reader.is_open() {
            Ok(reader)
        } else {
            Err(RoomError::NotInRoom)
        }
    }

    /// What deciding goes through who may see an event.
    pub fn sight(&self) -> Sight {
        Sight {
            events: self.events().clone(),
            groups: self.groups().clone(),
            coverages: self.inner.coverages.clone(),
            policy: Arc::clone(&self.inner.setup.policy),
        }
    }
}
