//! Knocks and restricted joins.

use proto::rules::Rules;
use ruma::{RoomId, UserId, api::client::room::create_room::v3::RoomPreset};
use serde_json::{Value, json, value::to_raw_value};

use super::world::{World, each_version, each_world, other, own, room_of, user};
use crate::{
    Membership, RoomError,
    create::{CreateRoom, InitialState},
    membership::OtherMembership,
};

async fn room_with_rule(
    world: &World,
    alice: &UserId,
    rules: &Rules,
    rule: Value,
) -> ruma::OwnedRoomId {
    let request = CreateRoom {
        version: Some(rules.version()),
        initial_state: vec![InitialState {
            event_type: "m.room.join_rules".to_owned(),
            state_key: String::new(),
            content: to_raw_value(&rule).unwrap(),
        }],
        ..room_of(alice, RoomPreset::PrivateChat)
    };
    world.rooms.create(request).await.unwrap()
}

fn restricted(rule: &str, room: &RoomId) -> Value {
    json!({
        "join_rule": rule,
        "allow": [{ "type": "m.room_membership", "room_id": room }],
    })
}

#[tokio::test]
async fn knocks_are_answered_where_the_version_knows_them() {
    each_version(async |world, rules| {
        let (alice, bob) = (user("alice"), user("bob"));
        let rule = json!({ "join_rule": "knock" });
        let room = room_with_rule(&world, &alice, rules, rule).await;
        let knocked = world.rooms.knock(own(&bob, &room)).await;
        if !rules.knocking() {
            assert!(matches!(knocked, Err(RoomError::Denied(_))));
            return;
        }
        knocked.unwrap();
        assert_eq!(world.membership(&bob, &room).await, Membership::Knock);
        assert!(world.join(&bob, &room).await.is_err());
        world.rooms.kick(other(&alice, &bob, &room)).await.unwrap();
        world.rooms.knock(own(&bob, &room)).await.unwrap();
        world.invite(&alice, &bob, &room).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        assert!(matches!(world.rooms.knock(own(&bob, &room)).await, Err(RoomError::Forbidden(_))));
    })
    .await;
}

#[tokio::test]
async fn a_restricted_room_lets_in_the_members_of_another() {
    each_version(async |world, rules| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let space = world.public_room(&alice, rules).await;
        world.join(&bob, &space).await.unwrap();
        let kinds = [
            ("restricted", rules.restricted_joins()),
            ("knock_restricted", rules.knock_restricted_joins()),
        ];
        for (kind, known) in kinds {
            let room = room_with_rule(&world, &alice, rules, restricted(kind, &space)).await;
            let joined = world.join(&bob, &room).await;
            if !known {
                assert!(joined.is_err(), "version {} does not know {kind}", rules.id);
                continue;
            }
            let event = joined.unwrap().event_id;
            let event = world.rooms.inner.find_event(&event).await.unwrap().unwrap();
            let via = event.pdu().content_field::<String>("join_authorised_via_users_server");
            assert_eq!(via.as_deref(), Some(alice.as_str()));
            assert!(matches!(world.join(&carol, &room).await, Err(RoomError::Forbidden(_))));
            world.invite(&alice, &carol, &room).await.unwrap();
            world.join(&carol, &room).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_to_authorise_or_a_room_that_cannot_be_seen_into() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let rules = Rules::of("10").unwrap();
        let nowhere = ruma::room_id!("!nowhere:elsewhere.org");
        let room = room_with_rule(&world, &alice, rules, restricted("restricted", nowhere)).await;
        let refused = world.join(&bob, &room).await;
        assert!(matches!(refused, Err(RoomError::UnableToAuthoriseJoin)));
        let space = world.public_room(&alice, rules).await;
        world.join(&bob, &space).await.unwrap();
        let room = room_with_rule(&world, &alice, rules, restricted("restricted", &space)).await;
        world.leave(&alice, &room).await.unwrap();
        let refused = world.join(&bob, &room).await;
        assert!(matches!(refused, Err(RoomError::UnableToGrantJoin)));
    })
    .await;
}

#[tokio::test]
async fn a_member_event_sent_as_state_follows_the_same_rules() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let rules = Rules::of("11").unwrap();
        let space = world.public_room(&alice, rules).await;
        let room = room_with_rule(&world, &alice, rules, restricted("restricted", &space)).await;
        let join = || async {
            let content = json!({ "membership": "join", "displayname": "Bob" });
            world.submit(&bob, &room, ("m.room.member", Some(bob.as_str()), content)).await
        };
        assert!(matches!(join().await, Err(RoomError::Forbidden(_))));
        world.join(&bob, &space).await.unwrap();
        join().await.unwrap();
        let claimed = json!({
            "membership": "join", "displayname": "Bobby",
            "join_authorised_via_users_server": "@someone:elsewhere.org",
        });
        world.submit(&bob, &room, ("m.room.member", Some(bob.as_str()), claimed)).await.unwrap();
        let reading = crate::query::Reading { user: &alice, device: None, room_id: &room };
        let member = world.rooms.state_event(reading, "m.room.member", bob.as_str()).await.unwrap();
        let expected = json!({ "membership": "join", "displayname": "Bobby" });
        assert_eq!(serde_json::from_str::<Value>(member.pdu().content()).unwrap(), expected);
        let nonsense = json!({ "membership": "boss" });
        let refused =
            world.submit(&bob, &room, ("m.room.member", Some(bob.as_str()), nonsense)).await;
        assert!(matches!(refused, Err(RoomError::BadContent(_))));
        let profile =
            crate::MemberProfile { displayname: Some("Robert".to_owned()), avatar_url: None };
        world.rooms.update_profile(&bob, &room, profile).await.unwrap();
        let member = world.rooms.state_event(reading, "m.room.member", bob.as_str()).await.unwrap();
        assert_eq!(member.pdu().content_field::<String>("displayname").as_deref(), Some("Robert"));
        let seen = serde_json::to_value(member.to_client(store::room::event::Reader::default()));
        assert_eq!(seen.unwrap()["unsigned"]["prev_content"]["displayname"], "Bobby");
    })
    .await;
}

#[tokio::test]
async fn nobody_is_invited_who_cannot_be_told_or_could_not_join() {
    each_version(async |world, rules| {
        let (alice, bob) = (user("alice"), user("bob"));
        let stranger = ruma::user_id!("@stranger:elsewhere.org").to_owned();
        let request = |federate: bool| CreateRoom {
            version: Some(rules.version()),
            creation_content: Some(to_raw_value(&json!({ "m.federate": federate })).unwrap()),
            ..room_of(&alice, RoomPreset::PrivateChat)
        };
        let (open, closed) = (request(true), request(false));
        let invited = vec![(stranger.clone(), crate::MemberProfile::default())];
        let refused = world.rooms.create(CreateRoom { invite: invited, ..closed.clone() }).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        let closed = world.rooms.create(closed).await.unwrap();
        let refused = world.invite(&alice, &stranger, &closed).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        let content = json!({ "membership": "invite" });
        let event = ("m.room.member", Some(stranger.as_str()), content);
        let refused = world.submit(&alice, &closed, event).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        world.rooms.ban(other(&alice, &stranger, &closed)).await.unwrap();
        world.invite(&alice, &bob, &closed).await.unwrap();
        let open = world.rooms.create(open).await.unwrap();
        // These worlds have no federation that could tell her.
        let refused = world.invite(&alice, &stranger, &open).await;
        assert!(matches!(refused, Err(RoomError::Peer(_))));
    })
    .await;
}

#[tokio::test]
async fn whoever_asks_for_the_same_again_makes_no_new_event() {
    each_world(async |world| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let rule = json!({ "join_rule": "knock" });
        let room = room_with_rule(&world, &alice, Rules::of("11").unwrap(), rule).await;
        let knocked = world.rooms.knock(own(&bob, &room)).await.unwrap();
        let again = world.rooms.knock(own(&bob, &room)).await.unwrap();
        assert_eq!(again.event_id, knocked.event_id);
        let invited = world.invite(&alice, &bob, &room).await.unwrap();
        assert_eq!(world.invite(&alice, &bob, &room).await.unwrap().event_id, invited.event_id);
        let because =
            OtherMembership { reason: Some("come".to_owned()), ..other(&alice, &bob, &room) };
        let urged = world.rooms.invite(because).await.unwrap();
        assert_ne!(urged.event_id, invited.event_id);
        world.join(&bob, &room).await.unwrap();
        let banned = world.rooms.ban(other(&alice, &carol, &room)).await.unwrap();
        let again = world.rooms.ban(other(&alice, &carol, &room)).await.unwrap();
        assert_eq!(again.event_id, banned.event_id);
    })
    .await;
}
