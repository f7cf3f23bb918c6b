//! What users of ours do in the room, each deed measured.

use std::sync::Arc;

use proto::{draft::Draft, pdu::Pdu};
use room::{
    Submission,
    membership::{MemberProfile, OtherMembership, OwnMembership},
    query::{Direction, MembersRequest, MessagesPage, MessagesRequest, Reading},
    testing::crowd::{member, powers},
};
use ruma::{EventId, OwnedEventId, RoomId, UserId, presence::PresenceState};
use serde_json::{Value, json, value::to_raw_value};
use sync::SyncRequest;
use user::Requester;

use crate::{
    meter::Meter,
    place::{Place, own},
};

/// How often a deed is done.
const TIMES: usize = 20;
pub(crate) const LAZY: &str = r#"{"room":{"state":{"lazy_load_members":true}}}"#;

/// A user of ours in the room.
pub(crate) struct Visitor<'p> {
    pub(crate) place: &'p Place,
    pub(crate) client: Requester,
    pub(crate) room: &'p RoomId,
    pub(crate) is_sqlite: bool,
}

/// A request to join or leave.
pub(crate) fn own_membership(user: &UserId, room: &RoomId) -> OwnMembership {
    OwnMembership {
        user: user.to_owned(),
        room_id: room.to_owned(),
        reason: None,
        profile: MemberProfile::default(),
        via: Vec::new(),
        third_party_signed: None,
    }
}

impl Visitor<'_> {
    fn meter(&self) -> Meter {
        Meter::new(self.is_sqlite)
    }

    fn reading(&self) -> Reading<'_> {
        Reading { user: self.client.user_id(), device: None, room_id: self.room }
    }

    async fn submit(&self, event_type: &str, state_key: Option<&str>, content: Value) {
        self.submit_as(self.client.user_id(), event_type, state_key, content).await;
    }

    async fn submit_as(
        &self,
        sender: &UserId,
        event_type: &str,
        state_key: Option<&str>,
        content: Value,
    ) -> OwnedEventId {
        let draft = Draft {
            sender: sender.to_owned(),
            event_type: event_type.into(),
            state_key: state_key.map(ToOwned::to_owned),
            content: to_raw_value(&content).expect("a value is JSON"),
            redacts: None,
        };
        let room_id = self.room.to_owned();
        let submission = Submission { room_id, draft, timestamp_ms: None, txn: None };
        self.place.rooms.submit(submission).await.expect("it may be sent").event_id
    }

    pub(crate) async fn say(&self, text: &str) -> OwnedEventId {
        let content = json!({ "msgtype": "m.text", "body": text });
        self.submit_as(self.client.user_id(), "m.room.message", None, content).await
    }

    fn other(&self, target: &UserId) -> OtherMembership {
        OtherMembership {
            sender: self.client.user_id().to_owned(),
            target: target.to_owned(),
            room_id: self.room.to_owned(),
            reason: None,
            profile: MemberProfile::default(),
            is_direct: false,
        }
    }

    /// Everything that changes the room.
    pub(crate) async fn write(&self) {
        let rooms = &self.place.rooms;
        let (mut joins, mut leaves) = (self.meter(), self.meter());
        for number in 0..TIMES * 2 {
            let joining = rooms.join(own_membership(&own(&format!("guest{number}")), self.room));
            joins.run(joining).await.expect("everybody may join");
        }
        for number in 0..TIMES {
            let leaving = rooms.leave(own_membership(&own(&format!("guest{number}")), self.room));
            leaves.run(leaving).await.expect("everybody may leave");
        }
        joins.tell("join");
        leaves.tell("leave");
        let (mut messages, mut states) = (self.meter(), self.meter());
        for number in 0..TIMES {
            messages.run(self.say(&format!("message {number}"))).await;
        }
        messages.tell("send");
        for number in 0..TIMES {
            let topic = json!({ "topic": format!("topic {number}") });
            states.run(self.submit("m.room.topic", Some(""), topic)).await;
        }
        states.tell("state-send");
        let (mut invites, mut kicks, mut levels) = (self.meter(), self.meter(), self.meter());
        for number in 0..TIMES {
            let request = self.other(&own(&format!("invited{number}")));
            invites.run(rooms.invite(request)).await.expect("it may invite");
        }
        invites.tell("invite");
        for number in 0..TIMES {
            let request = self.other(&member(number + 100));
            kicks.run(rooms.kick(request)).await.expect("it may kick");
        }
        kicks.tell("kick");
        for number in 0..TIMES {
            let power = i64::try_from(number).unwrap_or(0);
            let user = self.client.user_id();
            let content =
                powers(crate::rules_of(rooms, self.room).await, user, (&member(3), power));
            levels.run(self.submit("m.room.power_levels", Some(""), content)).await;
        }
        levels.tell("power levels");
    }

    /// Everything that only reads.
    pub(crate) async fn read(&self) {
        let rooms = &self.place.rooms;
        for (name, lazy) in [("messages", false), ("messages, lazy", true)] {
            let mut meter = self.meter();
            for _ in 0..TIMES {
                let page = meter.run(self.messages(lazy)).await;
                assert_eq!(page.events.len(), 50);
            }
            meter.tell(name);
        }
        let (mut members, mut joined) = (self.meter(), self.meter());
        for _ in 0..2 {
            let list = rooms.members(self.reading(), MembersRequest::default());
            members.run(list).await.expect("it may read");
            joined.run(rooms.joined_members(self.reading())).await.expect("it may read");
        }
        members.tell("members");
        joined.tell("joined_members");
        for (name, filter) in [("sync, whole, lazy", Some(LAZY)), ("sync, whole", None)] {
            let mut meter = self.meter();
            for _ in 0..2 {
                meter.run(self.sync(None, filter)).await;
            }
            meter.tell(name);
        }
        for (name, filter) in [("sync, a message, lazy", Some(LAZY)), ("sync, a message", None)] {
            let mut meter = self.meter();
            let mut since = self.sync(None, Some(LAZY)).await;
            for number in 0..TIMES {
                self.say(&format!("news {number}")).await;
                since = meter.run(self.sync(Some(since), filter)).await;
            }
            meter.tell(name);
        }
    }

    /// The newest page of the timeline.
    pub(crate) async fn messages(&self, lazy_load_members: bool) -> MessagesPage {
        let request = MessagesRequest {
            direction: Direction::Backward,
            from: None,
            to: None,
            limit: 50,
            wanted: None,
            lazy_load_members,
        };
        self.place.rooms.messages(self.reading(), request).await.expect("it may read")
    }

    /// Syncs once; the answer is the next token.
    pub(crate) async fn sync(&self, since: Option<String>, filter: Option<&str>) -> String {
        let request = SyncRequest {
            since,
            filter: filter.map(ToOwned::to_owned),
            set_presence: PresenceState::Offline,
            ..SyncRequest::default()
        };
        let answer = self.place.sync.run(&self.client, request).await.expect("it is answered");
        let head = std::str::from_utf8(&answer).expect("an answer is text");
        let (_, token) = head.split_once("\"next_batch\":\"").expect("there is a token");
        token.split('"').next().unwrap_or_default().to_owned()
    }

    /// The event that sets the power levels.
    pub(crate) async fn powers(&self) -> Arc<Pdu> {
        let rooms = &self.place.rooms;
        let event = rooms.state_event(self.reading(), "m.room.power_levels", "").await;
        Arc::clone(event.expect("there are power levels").pdu())
    }

    /// An event, by its id.
    pub(crate) async fn event(&self, id: &EventId) -> Arc<Pdu> {
        let visible = self.place.rooms.event(self.reading(), id).await.expect("it may see it");
        Arc::clone(visible.event.pdu())
    }
}
