//! Pages, contexts, states and members.

use ruma::{OwnedEventId, api::client::room::create_room::v3::RoomPreset, device_id};
use serde_json::json;
use store::Position;

use super::world::{each_world, room_of, user};
use crate::{
    Membership, RoomError, Submission, TxnKey,
    query::{
        ContextRequest, Direction, MembersRequest, MessagesRequest, PageToken, Point, Reading,
    },
    redact::RedactRequest,
};

fn request(direction: Direction, from: Option<Point>, limit: usize) -> MessagesRequest {
    MessagesRequest { direction, from, to: None, limit, wanted: None, lazy_load_members: false }
}

#[tokio::test]
async fn pages_both_ways_have_every_event_once() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let created = world.page(&alice, &room, None).await.unwrap().events.len();
        let mut said = Vec::new();
        for number in 0..23 {
            said.push(world.say(&alice, &room, &format!("message {number}")).await);
        }
        let reading = Reading { user: &alice, device: None, room_id: &room };
        for direction in [Direction::Backward, Direction::Forward] {
            let mut seen: Vec<OwnedEventId> = Vec::new();
            let mut from = None;
            loop {
                let page =
                    world.rooms.messages(reading, request(direction, from, 5)).await.unwrap();
                assert!(page.events.len() <= 5);
                seen.extend(page.events.iter().map(|seen| seen.event.event_id().to_owned()));
                let Some(end) = page.end else { break };
                let text = end.to_string();
                from = Some(Point::Page(text.parse::<PageToken>().unwrap()));
            }
            if direction == Direction::Backward {
                seen.reverse();
            }
            assert_eq!(seen.len(), created + 23);
            assert_eq!(seen[created..], said);
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_can_begin_at_a_position_end_at_a_token_and_be_filtered() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let first = world.say(&alice, &room, "one").await;
        let position = world.rooms.inner.setup.store.position();
        world.say(&alice, &room, "two").await;
        let reading = Reading { user: &alice, device: None, room_id: &room };
        let from = Some(Point::Position(position));
        let mut asked = request(Direction::Backward, from, 100);
        asked.wanted = Some(std::sync::Arc::new(|pdu| pdu.state_key().is_none()));
        let page = world.rooms.messages(reading, asked).await.unwrap();
        let events = page.events.iter().map(|seen| seen.event.event_id()).collect::<Vec<_>>();
        assert_eq!(events, [&*first]);
        let mut asked = request(Direction::Backward, None, 100);
        asked.to = from;
        let page = world.rooms.messages(reading, asked).await.unwrap();
        assert_eq!(page.events.len(), 1, "only what came after");
        assert!(page.end.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_context_stands_in_the_middle_and_goes_on_both_ways() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        let mut said = Vec::new();
        for number in 0..9 {
            said.push(world.say(&alice, &room, &format!("message {number}")).await);
        }
        let reading = Reading { user: &alice, device: None, room_id: &room };
        let asked =
            ContextRequest { event_id: &said[4], limit: 4, wanted: None, lazy_load_members: true };
        let context = world.rooms.context(reading, asked).await.unwrap();
        let ids = |seen: &[crate::Visible]| {
            seen.iter().map(|seen| seen.event.event_id().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&context.before), [said[3].clone(), said[2].clone()]);
        assert_eq!(ids(&context.after), [said[5].clone(), said[6].clone()]);
        let members = context.state.iter().filter(|event| event.pdu().membership().is_some());
        assert_eq!(members.count(), 1, "bob said nothing");
        let older = request(Direction::Backward, Some(Point::Page(context.start)), 1);
        let older = world.rooms.messages(reading, older).await.unwrap();
        assert_eq!(ids(&older.events), [said[1].clone()]);
        let newer = request(Direction::Forward, Some(Point::Page(context.end)), 1);
        let newer = world.rooms.messages(reading, newer).await.unwrap();
        assert_eq!(ids(&newer.events), [said[7].clone()]);
    })
    .await;
}

#[tokio::test]
async fn those_who_left_get_the_state_of_their_time() {
    each_world(async |world| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        world.set_state(&alice, &room, "m.room.name", json!({ "name": "old" })).await.unwrap();
        world.leave(&bob, &room).await.unwrap();
        world.set_state(&alice, &room, "m.room.name", json!({ "name": "new" })).await.unwrap();
        world.join(&carol, &room).await.unwrap();
        let name = async |reader| {
            let reading = Reading { user: reader, device: None, room_id: &room };
            let event = world.rooms.state_event(reading, "m.room.name", "").await?;
            Ok::<_, RoomError>(event.pdu().content_field::<String>("name").unwrap())
        };
        assert_eq!(name(&bob).await.unwrap(), "old");
        assert_eq!(name(&alice).await.unwrap(), "new");
        assert!(matches!(name(&user("dora")).await, Err(RoomError::NotInRoom)));
        let reading = Reading { user: &bob, device: None, room_id: &room };
        let missing = world.rooms.state_event(reading, "m.room.avatar", "").await;
        assert!(matches!(missing, Err(RoomError::StateNotFound)));
        let members = world.rooms.members(reading, MembersRequest::default()).await.unwrap();
        assert_eq!(members.len(), 2, "alice, and himself, gone");
        assert_eq!(world.rooms.state(reading).await.unwrap().len(), 8);
        let refused = world.rooms.joined_members(reading).await;
        assert!(matches!(refused, Err(RoomError::NotInRoom)));
    })
    .await;
}

#[tokio::test]
async fn members_at_a_point_and_of_a_kind() {
    each_world(async |world| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let early = world.join(&bob, &room).await.unwrap().position;
        world.join(&carol, &room).await.unwrap();
        world.leave(&bob, &room).await.unwrap();
        let reading = Reading { user: &alice, device: None, room_id: &room };
        let count = async |request| world.rooms.members(reading, request).await.unwrap().len();
        let at = Some(Point::Position(early));
        assert_eq!(count(MembersRequest { at, ..MembersRequest::default() }).await, 2);
        let joined = Some(Membership::Join);
        assert_eq!(count(MembersRequest { membership: joined, ..Default::default() }).await, 2);
        assert_eq!(count(MembersRequest { not_membership: joined, ..Default::default() }).await, 1);
        let left = Some(Membership::Leave);
        let either = MembersRequest { membership: left, not_membership: left, at: None };
        assert_eq!(count(either).await, 3, "who is gone, and who is not");
        let either = MembersRequest { membership: joined, not_membership: left, at: None };
        assert_eq!(count(either).await, 2);
        assert_eq!(count(MembersRequest { at, membership: joined, ..Default::default() }).await, 2);
        let at = Some(Point::Position(Position(0)));
        assert_eq!(count(MembersRequest { at, ..Default::default() }).await, 1, "its creator");
        let joined = world.rooms.joined_members(reading).await.unwrap();
        assert_eq!(joined.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_transaction_id_is_the_same_event_also_after_a_restart() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let device = device_id!("PHONE");
        let submission = |body: &str, txn_id: &str| Submission {
            room_id: room.clone(),
            draft: proto::draft::Draft {
                sender: alice.clone(),
                event_type: "m.room.message".into(),
                state_key: None,
                content: serde_json::value::to_raw_value(&json!({ "body": body })).unwrap(),
                redacts: None,
            },
            timestamp_ms: None,
            txn: Some(TxnKey {
                user: alice.clone(),
                device: device.to_owned(),
                endpoint: "send/m.room.message".to_owned(),
                txn_id: txn_id.into(),
            }),
        };
        let first = world.rooms.submit(submission("one", "a")).await.unwrap();
        let again = world.rooms.submit(submission("one", "a")).await.unwrap();
        assert_eq!(first.event_id, again.event_id);
        let other = world.rooms.submit(submission("one", "b")).await.unwrap();
        assert_ne!(first.event_id, other.event_id);
        let restarted = crate::testing::rooms(world.rooms.inner.setup.store.clone());
        let again = restarted.submit(submission("one", "a")).await.unwrap();
        assert_eq!(first.event_id, again.event_id);
        let more = restarted.submit(submission("two", "c")).await.unwrap();
        let redaction = || RedactRequest {
            sender: alice.clone(),
            is_admin: false,
            room_id: room.clone(),
            event_id: first.event_id.clone(),
            content: serde_json::Map::new(),
            txn: Some(TxnKey { endpoint: "redact".to_owned(), ..submission("", "r").txn.unwrap() }),
        };
        let redacted = restarted.redact(redaction()).await.unwrap();
        let reading = Reading { user: &alice, device: Some(device), room_id: &room };
        let seen = restarted.event(reading, &more.event_id).await.unwrap();
        assert_eq!(seen.transaction_id.as_deref(), Some("c"));
        let reading = Reading { device: Some(device_id!("OTHER")), ..reading };
        let seen = restarted.event(reading, &more.event_id).await.unwrap();
        assert_eq!(seen.transaction_id, None);
        // Whoever may not send any more still learns what came of what was sent.
        world.leave(&alice, &room).await.unwrap();
        let restarted = crate::testing::rooms(world.rooms.inner.setup.store.clone());
        let again = restarted.submit(submission("one", "a")).await.unwrap();
        assert_eq!(first.event_id, again.event_id);
        let again = restarted.redact(redaction()).await.unwrap();
        assert_eq!(redacted.event_id, again.event_id);
        let refused = restarted.submit(submission("one", "d")).await;
        assert!(matches!(refused, Err(RoomError::Denied(_))));
    })
    .await;
}
