//! The public room directory.
//!
//! Spec: client-server API, "Listing rooms".

use std::sync::Arc;

use proto::{number::RoomNumber, visibility::HistoryVisibility};
use ruma::{OwnedMxcUri, OwnedRoomAliasId, OwnedRoomId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use store::{
    numbers::{AVATAR, CANONICAL_ALIAS, NAME, TOPIC},
    room::directory::{self, DirectoryPlace, PublishedRow},
};

use crate::{RoomError, RoomView, Rooms, ports::Act, view::JoinRule};

/// The most rooms that one page holds.
pub const PAGE_MAX: usize = 500;
/// How many rooms a page holds if nobody says.
const PAGE_DEFAULT: usize = 100;
/// How many rooms one question looks at, at most, before it answers with what it has found.
const SCAN_MAX: usize = 10_000;
/// The longest search term, in bytes.
const SEARCH_TERM_MAX: usize = 256;

/// A question to the directory.
#[derive(Clone, Debug, Default)]
pub struct DirectoryQuery {
    /// Words that name, topic or alias contain.
    pub search_term: Option<String>,
    /// Types that pass; `None` in the list is a room without type. An empty list lets all pass.
    pub room_types: Vec<Option<String>>,
    /// How many; at most [`PAGE_MAX`].
    pub limit: Option<usize>,
    /// Where to go on: a token of an earlier answer.
    pub since: Option<String>,
}

/// A room in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRoom {
    /// Its id.
    pub room_id: OwnedRoomId,
    /// Its canonical alias.
    pub canonical_alias: Option<OwnedRoomAliasId>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its avatar.
    pub avatar_url: Option<OwnedMxcUri>,
    /// How many are joined.
    pub joined_members: u64,
    /// Whether everybody may read it.
    pub world_readable: bool,
    /// Whether guests may join it.
    pub guest_can_join: bool,
    /// Its join rule.
    pub join_rule: JoinRule,
    /// Its type.
    pub room_type: Option<String>,
}

/// A page of the directory, the rooms with most members first.
#[derive(Clone, Debug, Default)]
pub struct DirectoryPage {
    /// The rooms.
    pub rooms: Vec<PublishedRoom>,
    /// The token of the next page.
    pub next_batch: Option<String>,
    /// The token of the page before.
    pub prev_batch: Option<String>,
    /// How many rooms there are in all, about.
    pub total: u64,
}

/// What the directory keeps of a room.
#[derive(Serialize, Deserialize)]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    alias: Option<OwnedRoomAliasId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    avatar: Option<OwnedMxcUri>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    room_type: Option<String>,
    rule: String,
    world_readable: bool,
    guests: bool,
}

/// What the directory keeps of a room, as it stores it.
pub(crate) fn summary(view: &RoomView) -> Vec<u8> {
    let summary = Summary::of(view);
    // Nothing in it can fail to be written.
    serde_json::to_vec(&summary).unwrap_or_default()
}

impl Summary {
    fn of(view: &RoomView) -> Self {
        let text = |key, field| view.field(key, field).filter(|text| !text.is_empty());
        Self {
            alias: text(CANONICAL_ALIAS, "alias").and_then(|alias| alias.try_into().ok()),
            name: text(NAME, "name"),
            topic: text(TOPIC, "topic"),
            avatar: text(AVATAR, "url").map(OwnedMxcUri::from),
            room_type: view.room_type(),
            rule: view.join_rule().as_str().to_owned(),
            world_readable: view.history_visibility() == HistoryVisibility::WorldReadable,
            guests: view.guests_may_join(),
        }
    }

    fn into_room(self, room_id: OwnedRoomId, joined_members: u64) -> PublishedRoom {
        PublishedRoom {
            room_id,
            canonical_alias: self.alias,
            name: self.name,
            topic: self.topic,
            avatar_url: self.avatar,
            joined_members,
            world_readable: self.world_readable,
            guest_can_join: self.guests,
            join_rule: JoinRule::parse(Some(&self.rule)),
            room_type: self.room_type,
        }
    }
}

impl DirectoryQuery {
    fn passes(&self, room: &PublishedRoom) -> bool {
        if !is_of_use(room) {
            return false;
        }
        let of_type = self.room_types.is_empty() || self.room_types.contains(&room.room_type);
        of_type && self.search_term.as_ref().is_none_or(|term| contains(room, term))
    }
}

/// Whether a room is worth listing: somebody is in it, and whoever finds it can join, knock or
/// read.
fn is_of_use(room: &PublishedRoom) -> bool {
    let is_near =
        matches!(room.join_rule, JoinRule::Public | JoinRule::Knock | JoinRule::KnockRestricted);
    room.joined_members > 0 && (is_near || room.world_readable)
}

/// Whether name, topic or alias contain a term, whatever its case.
fn contains(room: &PublishedRoom, term: &str) -> bool {
    let term = term.to_lowercase();
    let alias = room.canonical_alias.as_ref().map(|alias| alias.as_str());
    let texts = [room.name.as_deref(), room.topic.as_deref(), alias];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&term))
}

/// A place in the directory, and which way to go from there. As text: direction, members, room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    forward: bool,
    place: DirectoryPlace,
}

impl Since {
    const START: Self = Self {
        forward: true,
        place: DirectoryPlace { joined: i64::MAX, room: RoomNumber(i64::MAX) },
    };

    fn parse(text: &str) -> Option<Self> {
        let (direction, rest) = text.split_at_checked(1)?;
        let (joined, room) = rest.split_once('_')?;
        let forward = match direction {
            "n" => true,
            "p" => false,
            _ => return None,
        };
        let room = RoomNumber(room.parse().ok()?);
        Some(Self { forward, place: DirectoryPlace { joined: joined.parse().ok()?, room } })
    }

    fn text(self) -> String {
        let direction = if self.forward { 'n' } else { 'p' };
        format!("{direction}{}_{}", self.place.joined, self.place.room)
    }
}

/// What a walk through the directory has found.
struct Found {
    rooms: Vec<(DirectoryPlace, PublishedRoom)>,
    /// Whether it stopped before the end.
    more: bool,
    total: u64,
}

/// Walks from a place until there are enough rooms.
fn walk(
    snapshot: &mut store::Snapshot<'_>,
    query: &DirectoryQuery,
    since: Since,
    limit: usize,
) -> Result<Found, RoomError> {
    let total = directory::count(snapshot)?;
    let mut found = Found { rooms: Vec::new(), more: true, total };
    let mut place = since.place;
    let mut seen = 0;
    while seen < SCAN_MAX {
        let rows = if since.forward {
            directory::list_after(snapshot, place, PAGE_MAX)?
        } else {
            directory::list_before(snapshot, place, PAGE_MAX)?
        };
        let count = rows.len();
        seen += count;
        for row in rows {
            place = DirectoryPlace { joined: row.joined, room: row.room };
            let Some(room) = read_row(row) else { continue };
            if !query.passes(&room) {
                continue;
            }
            if found.rooms.len() == limit {
                return Ok(found);
            }
            found.rooms.push((place, room));
        }
        if count < PAGE_MAX {
            found.more = false;
            break;
        }
    }
    Ok(found)
}

fn read_row(row: PublishedRow) -> Option<PublishedRoom> {
    let joined = u64::try_from(row.joined).unwrap_or(0);
    match serde_json::from_slice::<Summary>(&row.summary) {
        Ok(summary) => Some(summary.into_room(row.room_id, joined)),
        Err(error) => {
            tracing::error!(room = %row.room_id, %error, "the directory's summary is damaged");
            None
        }
    }
}

impl Rooms {
    /// A page of the directory.
    pub async fn public_rooms(&self, query: DirectoryQuery) -> Result<DirectoryPage, RoomError> {
        if query.search_term.as_ref().is_some_and(|term| term.len() > SEARCH_TERM_MAX) {
            return Err(RoomError::InvalidParam("the search term is too long".to_owned()));
        }
        let since = match &query.since {
            None => Since::START,
            Some(text) => Since::parse(text).ok_or_else(|| {
                RoomError::InvalidParam("`since` is no token of this directory".to_owned())
            })?,
        };
        let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let from_start = query.since.is_none();
        let read =
            self.inner.setup.store.read(move |snapshot| walk(snapshot, &query, since, limit));
        let mut found: Found = read.await?;
        if !since.forward {
            found.rooms.reverse();
        }
        let first = found.rooms.first().map(|(place, _)| *place);
        let last = found.rooms.last().map(|(place, _)| *place);
        let (after, before) =
            if since.forward { (found.more, !from_start) } else { (true, found.more) };
        let token = |forward, place: Option<DirectoryPlace>| {
            place.map(|place| Since { forward, place }.text())
        };
        Ok(DirectoryPage {
            next_batch: token(true, last).filter(|_| after),
            prev_batch: token(false, first).filter(|_| before),
            total: found.total,
            rooms: found.rooms.into_iter().map(|(_, room)| room).collect(),
        })
    }

    /// What the directory would say about a room, whether it is published or not.
    pub fn describe(view: &RoomView) -> PublishedRoom {
        let joined = u64::try_from(view.joined_count()).unwrap_or(u64::MAX);
        Summary::of(view).into_room(view.id().to_owned(), joined)
    }

    /// Whether a room is in the directory.
    pub async fn is_published(&self, room_id: &RoomId) -> Result<bool, RoomError> {
        let room = self.find(room_id).await?.ok_or(RoomError::RoomNotFound)?;
        Ok(room.0.is_published())
    }

    /// Puts a room into the directory or takes it out. Whoever may set the room's canonical alias
    /// may do so.
    pub async fn publish(
        &self,
        user: &UserId,
        room_id: &RoomId,
        public: bool,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        let room = self.find(room_id).await?.ok_or(RoomError::RoomNotFound)?;
        if !is_admin {
            self.check_publisher(&room.view(), user, public).await?;
        }
        let core = Arc::clone(&room.0);
        // Under the room's lock, so that the summary is of the newest state in the writer's order.
        let tip = self.lock(&core).await?;
        let view = Arc::clone(&tip.view);
        let committed = Arc::clone(&core);
        let commit = self.inner.setup.store.enqueue(move |txn| {
            if public {
                let joined = i64::try_from(view.joined_count()).unwrap_or(i64::MAX);
                directory::set(txn, view.number, joined, &summary(&view))?;
            } else {
                directory::remove(txn, view.number)?;
            }
            Ok::<_, RoomError>(())
        });
        let commit = commit.await?;
        committed.set_published(public);
        drop(tip);
        let done = commit.await;
        if done.is_err() {
            committed.set_published(!public);
        }
        done
    }

    async fn check_publisher(
        &self,
        view: &RoomView,
        user: &UserId,
        public: bool,
    ) -> Result<(), RoomError> {
        if public && !self.inner.setup.settings.load().publishing {
            return Err(RoomError::Forbidden("rooms cannot be published on this server"));
        }
        self.check(user, Act::Publish(view.id()))?;
        let number = self.inner.find_user(user).await?;
        let joined = number.is_some_and(|number| view.is_joined(number));
        if !joined || !view.powers().may_send(user, "m.room.canonical_alias", true) {
            return Err(RoomError::Forbidden("you may not publish this room"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "directory_test.rs"]
mod tests;
