//! What the tests speak in: users who do things in rooms.

use proto::{draft::Draft, rules::Rules};
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    api::client::room::create_room::v3::RoomPreset,
};
use serde_json::{Value, json, value::to_raw_value};
use store::{Store, testing::for_each_engine};

use crate::{
    Membership, RoomError, Rooms, Submission, Submitted,
    create::CreateRoom,
    membership::{MemberProfile, OtherMembership, OwnMembership},
    query::{Direction, MessagesPage, MessagesRequest, Point, Reading},
    testing,
};

/// A server with rooms.
#[derive(Clone)]
pub(in crate::tests) struct World {
    pub(in crate::tests) rooms: Rooms,
}

/// Runs a test on a new server on each engine.
pub(in crate::tests) async fn each_world<T: Future<Output = ()>>(test: impl Fn(World) -> T) {
    for_each_engine(|store: Store| test(World { rooms: testing::rooms(store) })).await;
}

/// Runs a test on a new server on each engine with each room version.
pub(in crate::tests) async fn each_version<T: Future<Output = ()>>(
    test: impl Fn(World, &'static Rules) -> T,
) {
    for_each_engine(async |store: Store| {
        let world = World { rooms: testing::rooms(store) };
        for rules in Rules::all() {
            println!("room version {}", rules.id);
            test(world.clone(), rules).await;
        }
    })
    .await;
}

pub(in crate::tests) fn user(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:example.org")).unwrap()
}

/// A room that `creator` asks for, of the default version.
pub(in crate::tests) fn room_of(creator: &UserId, preset: RoomPreset) -> CreateRoom {
    CreateRoom {
        creator: creator.to_owned(),
        profile: MemberProfile::default(),
        version: None,
        public: false,
        preset: Some(preset),
        alias_localpart: None,
        name: None,
        topic: None,
        invite: Vec::new(),
        is_direct: false,
        creation_content: None,
        initial_state: Vec::new(),
        power_level_content_override: None,
    }
}

impl World {
    /// A new public room.
    pub(in crate::tests) async fn public_room(
        &self,
        creator: &UserId,
        rules: &Rules,
    ) -> OwnedRoomId {
        let request = room_of(creator, RoomPreset::PublicChat);
        self.rooms.create(CreateRoom { version: Some(rules.version()), ..request }).await.unwrap()
    }

    pub(in crate::tests) async fn submit(
        &self,
        sender: &UserId,
        room: &RoomId,
        (event_type, state_key, content): (&str, Option<&str>, Value),
    ) -> Result<Submitted, RoomError> {
        let draft = Draft {
            sender: sender.to_owned(),
            event_type: event_type.to_owned(),
            state_key: state_key.map(str::to_owned),
            content: to_raw_value(&content).unwrap(),
            redacts: None,
        };
        let room_id = room.to_owned();
        self.rooms.submit(Submission { room_id, draft, timestamp_ms: None, txn: None }).await
    }

    pub(in crate::tests) async fn say(
        &self,
        sender: &UserId,
        room: &RoomId,
        body: &str,
    ) -> OwnedEventId {
        let content = json!({ "msgtype": "m.text", "body": body });
        self.submit(sender, room, ("m.room.message", None, content)).await.unwrap().event_id
    }

    pub(in crate::tests) async fn set_state(
        &self,
        sender: &UserId,
        room: &RoomId,
        event_type: &str,
        content: Value,
    ) -> Result<OwnedEventId, RoomError> {
        let submitted = self.submit(sender, room, (event_type, Some(""), content)).await?;
        Ok(submitted.event_id)
    }

    pub(in crate::tests) async fn join(
        &self,
        user: &UserId,
        room: &RoomId,
    ) -> Result<Submitted, RoomError> {
        self.rooms.join(own(user, room)).await
    }

    pub(in crate::tests) async fn leave(
        &self,
        user: &UserId,
        room: &RoomId,
    ) -> Result<Submitted, RoomError> {
        self.rooms.leave(own(user, room)).await
    }

    pub(in crate::tests) async fn invite(
        &self,
        sender: &UserId,
        target: &UserId,
        room: &RoomId,
    ) -> Result<Submitted, RoomError> {
        self.rooms.invite(other(sender, target, room)).await
    }

    pub(in crate::tests) async fn membership(&self, user: &UserId, room: &RoomId) -> Membership {
        let room = self.rooms.find(room).await.unwrap().unwrap();
        match self.rooms.inner.find_user(user).await.unwrap() {
            Some(number) => room.view().membership(number),
            None => Membership::Leave,
        }
    }

    /// The body of a message as its reader gets it, if the reader may see it.
    pub(in crate::tests) async fn read(
        &self,
        reader: &UserId,
        room: &RoomId,
        event: &EventId,
    ) -> Result<Value, RoomError> {
        let reading = Reading { user: reader, device: None, room_id: room };
        let visible = self.rooms.event(reading, event).await?;
        Ok(serde_json::from_str(visible.to_client(0).get()).unwrap())
    }
}

impl World {
    /// The newest page of the timeline, or the one before a token.
    pub(in crate::tests) async fn page(
        &self,
        reader: &UserId,
        room: &RoomId,
        from: Option<Point>,
    ) -> Result<MessagesPage, RoomError> {
        let reading = Reading { user: reader, device: None, room_id: room };
        let request = MessagesRequest {
            direction: Direction::Backward,
            from,
            to: None,
            limit: 100,
            wanted: None,
            lazy_load_members: false,
        };
        self.rooms.messages(reading, request).await
    }
}

/// A request about one's own membership.
pub(in crate::tests) fn own(user: &UserId, room: &RoomId) -> OwnMembership {
    OwnMembership {
        user: user.to_owned(),
        room_id: room.to_owned(),
        reason: None,
        profile: MemberProfile::default(),
        via: Vec::new(),
        third_party_signed: None,
    }
}

/// A request about somebody else's membership.
pub(in crate::tests) fn other(sender: &UserId, target: &UserId, room: &RoomId) -> OtherMembership {
    OtherMembership {
        sender: sender.to_owned(),
        target: target.to_owned(),
        room_id: room.to_owned(),
        reason: None,
        profile: MemberProfile::default(),
        is_direct: false,
    }
}
