//! The public room directory.
//!
//! Spec: client-server API, "Listing rooms".

use ruma::{OwnedMxcUri, OwnedRoomAliasId, OwnedRoomId, RoomId, UserId};

use crate::{RoomError, Rooms, view::JoinRule};

/// The most rooms that one page holds.
pub const PAGE_MAX: usize = 500;

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

impl Rooms {
    /// A page of the directory.
    pub async fn public_rooms(&self, query: DirectoryQuery) -> Result<DirectoryPage, RoomError> {
        let _ = query;
        todo!()
    }

    /// Whether a room is in the directory.
    pub async fn is_published(&self, room_id: &RoomId) -> Result<bool, RoomError> {
        let _ = room_id;
        todo!()
    }

    /// Puts a room into the directory or takes it out.
    pub async fn publish(
        &self,
        user: &UserId,
        room_id: &RoomId,
        public: bool,
        is_admin: bool,
    ) -> Result<(), RoomError> {
        let _ = (user, room_id, public, is_admin);
        todo!()
    }
}
