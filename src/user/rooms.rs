//! What this crate asks of rooms, as a small trait: `room::Rooms` answers in the server, a table
//! does in tests.

use std::{collections::HashSet, future::Future, pin::Pin, sync::Arc};

use proto::number::{RoomNumber, UserNumber};
pub use room::MemberProfile;
use room::{Membership, RoomError, Rooms, membership::OwnMembership};
use ruma::{EventId, OwnedEventId, OwnedRoomId, RoomId, UserId};
use serde::Deserialize;
use store::{
    Store,
    room::{events, members},
};

use crate::Error;

/// A boxed future, since the trait is used as an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// What receipts have to know of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFacts {
    /// Its room.
    pub room: RoomNumber,
    /// Where it stands in its room's timeline: later events have higher numbers. None where it has
    /// no place there.
    pub order: Option<i64>,
    /// Its relation (`m.relates_to`): the type and the event.
    pub relation: Option<(String, OwnedEventId)>,
}

/// What this crate asks of rooms.
pub trait RoomAccess: Send + Sync + 'static {
    /// The rooms that the user is joined to, by their numbers.
    fn joined_rooms(&self, user: UserNumber) -> Answer<'_, Vec<(RoomNumber, OwnedRoomId)>>;

    /// The number of the room, if the user is joined to it.
    fn find_joined<'a>(
        &'a self,
        user: UserNumber,
        room: &'a RoomId,
    ) -> Answer<'a, Option<RoomNumber>>;

    /// Those of the others who are joined to a room that the user is joined to.
    fn sharing<'a>(
        &'a self,
        user: UserNumber,
        others: &'a [UserNumber],
    ) -> Answer<'a, HashSet<UserNumber>>;

    /// Whether everybody may know who is in the room: its join rule or its history visibility says
    /// so.
    fn is_public(&self, room: RoomNumber) -> Answer<'_, bool>;

    /// What is known of an event.
    fn find_event<'a>(&'a self, event: &'a EventId) -> Answer<'a, Option<EventFacts>>;

    /// Puts a new member event with these profile fields into the room.
    fn update_member_profile<'a>(
        &'a self,
        user: &'a UserId,
        room: &'a RoomId,
        profile: MemberProfile,
    ) -> Answer<'a, ()>;

    /// Leaves every room, refuses every invitation, takes back every knock. A room that refuses is
    /// passed over; an error says that it has to be tried again.
    fn leave_all<'a>(&'a self, user: UserNumber, user_id: &'a UserId) -> Answer<'a, ()>;
}

/// The rooms of this server.
pub struct ServerRooms {
    rooms: Rooms,
    store: Store,
}

impl ServerRooms {
    /// The rooms of this server.
    pub fn new(rooms: Rooms, store: Store) -> Arc<Self> {
        Arc::new(Self { rooms, store })
    }

    async fn load_event(&self, event: &EventId) -> Result<Option<EventFacts>, Error> {
        let (rooms, event) = (self.rooms.clone(), event.to_owned());
        let read = move |snapshot: &mut store::Snapshot<'_>| {
            Ok::<_, Error>(events::find_by_id(snapshot, rooms.events(), &event)?)
        };
        let Some(event) = self.store.read(read).await? else { return Ok(None) };
        let order = event.place.map(|place| place.position);
        Ok(Some(EventFacts { room: event.room, order, relation: relation(event.pdu().content()) }))
    }

    async fn leave(&self, user_id: &UserId, room_id: OwnedRoomId) -> Result<(), RoomError> {
        let request = OwnMembership {
            user: user_id.to_owned(),
            room_id,
            reason: None,
            profile: MemberProfile::default(),
            via: Vec::new(),
            third_party_signed: None,
        };
        self.rooms.leave(request).await.map(drop)
    }
}

impl RoomAccess for ServerRooms {
    fn joined_rooms(&self, user: UserNumber) -> Answer<'_, Vec<(RoomNumber, OwnedRoomId)>> {
        Box::pin(async move {
            let rooms = self.rooms.memberships(user).await?;
            let joined = rooms.values().filter(|room| room.membership == Membership::Join);
            Ok(joined.map(|room| (room.room, room.room_id.clone())).collect())
        })
    }

    fn find_joined<'a>(
        &'a self,
        user: UserNumber,
        room: &'a RoomId,
    ) -> Answer<'a, Option<RoomNumber>> {
        Box::pin(async move {
            let Some(room) = self.rooms.find(room).await? else { return Ok(None) };
            Ok(room.view().is_joined(user).then(|| room.number()))
        })
    }

    fn sharing<'a>(
        &'a self,
        user: UserNumber,
        others: &'a [UserNumber],
    ) -> Answer<'a, HashSet<UserNumber>> {
        let others = others.to_vec();
        let read = move |snapshot: &mut store::Snapshot<'_>| {
            Ok::<_, Error>(members::list_sharing(snapshot, user, &others)?)
        };
        Box::pin(async move { Ok(self.store.read(read).await?.into_iter().collect()) })
    }

    fn is_public(&self, room: RoomNumber) -> Answer<'_, bool> {
        Box::pin(async move {
            let Some(room) = self.rooms.find_by_number(room).await? else { return Ok(false) };
            let view = room.view();
            let world_readable = proto::visibility::HistoryVisibility::WorldReadable;
            Ok(view.join_rule().as_str() == "public" || view.history_visibility() == world_readable)
        })
    }

    fn find_event<'a>(&'a self, event: &'a EventId) -> Answer<'a, Option<EventFacts>> {
        Box::pin(self.load_event(event))
    }

    fn update_member_profile<'a>(
        &'a self,
        user: &'a UserId,
        room: &'a RoomId,
        profile: MemberProfile,
    ) -> Answer<'a, ()> {
        Box::pin(async move { Ok(self.rooms.update_profile(user, room, profile).await?) })
    }

    fn leave_all<'a>(&'a self, user: UserNumber, user_id: &'a UserId) -> Answer<'a, ()> {
        Box::pin(async move {
            let present = [Membership::Join, Membership::Invite, Membership::Knock];
            for room in self.rooms.memberships(user).await?.values() {
                if !present.contains(&room.membership) {
                    continue;
                }
                match self.leave(user_id, room.room_id.clone()).await {
                    Ok(()) => {}
                    Err(error @ RoomError::Store(_)) => return Err(error.into()),
                    Err(error) => tracing::warn!(
                        MATRIX_USER = %user_id, MATRIX_ROOM = %room.room_id, %error,
                        "a deactivated user could not leave a room"
                    ),
                }
            }
            Ok(())
        })
    }
}

/// The relation that an event's content names.
fn relation(content: &str) -> Option<(String, OwnedEventId)> {
    #[derive(Deserialize)]
    struct Content {
        #[serde(rename = "m.relates_to")]
        relates_to: Option<RelatesTo>,
    }
    #[derive(Deserialize)]
    struct RelatesTo {
        rel_type: String,
        event_id: OwnedEventId,
    }
    let content: Content = serde_json::from_str(content).ok()?;
    content.relates_to.map(|relation| (relation.rel_type, relation.event_id))
}

#[cfg(test)]
#[path = "rooms_test.rs"]
mod rooms_test;
