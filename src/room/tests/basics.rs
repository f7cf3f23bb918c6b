//! Creating, joining, sending: in every room version.

use futures_util::future::join_all;
use ruma::api::client::room::create_room::v3::RoomPreset;
use serde_json::{json, value::to_raw_value};
use store::{numbers::POWER_LEVELS, room::keys};

use super::world::{each_version, each_world, other, own, room_of, user};
use crate::{
    Membership, RoomError,
    create::{CreateRoom, InitialState},
};

#[tokio::test]
async fn a_room_of_every_version_can_be_created_joined_and_talked_in() {
    each_version(async |world, rules| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.public_room(&alice, rules).await;
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(view.rules().id, rules.id);
        assert_eq!(view.joined_count(), 1);
        world.join(&bob, &room).await.unwrap();
        assert_eq!(world.membership(&bob, &room).await, Membership::Join);
        let said = world.say(&bob, &room, "hello").await;
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(view.tips.len(), 1);
        assert_eq!(view.tips[0].event_id(), &*said);
        assert_eq!(view.joined_local().count(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart() {
    each_version(async |world, rules| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.public_room(&alice, rules).await;
        world.join(&bob, &room).await.unwrap();
        for round in 0..40 {
            let name = format!("round {round}");
            world.set_state(&alice, &room, "m.room.name", json!({ "name": name })).await.unwrap();
            world.say(&bob, &room, &name).await;
        }
        let before = world.rooms.find(&room).await.unwrap().unwrap().view();
        // Another handle on the same store has empty caches, as after a restart.
        let again = crate::testing::rooms(world.rooms.inner.setup.store.clone());
        let after = again.find(&room).await.unwrap().unwrap().view();
        assert_eq!(after.state(), before.state());
        assert_eq!(after.revision(), before.revision());
        assert_eq!(after.tips[0].event_id(), before.tips[0].event_id());
        assert_eq!(after.joined_count(), 2);
        assert_eq!(after.field(store::numbers::NAME, "name").as_deref(), Some("round 39"));
        world.say(&bob, &room, "still here").await;
    })
    .await;
}

#[tokio::test]
async fn many_send_at_once_and_each_event_names_the_one_before() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let names = (0..20).map(|number| user(&format!("user{number}"))).collect::<Vec<_>>();
        join_all(names.iter().map(|name| world.join(name, &room))).await;
        let said = names.iter().map(|name| world.say(name, &room, "all at once"));
        let said = join_all(said).await;
        assert_eq!(said.len(), 20);
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(view.joined_count(), 21);
        assert_eq!(view.tips.len(), 1);
        assert!(said.iter().any(|id| id == view.tips[0].event_id()));
        assert_eq!(view.tips[0].pdu().prev_events().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_is_refused_and_nothing_of_it_stays() {
    each_world(async |world| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PrivateChat)).await.unwrap();
        let revision = world.rooms.find(&room).await.unwrap().unwrap().view().revision();
        let refused = world.join(&bob, &room).await.unwrap_err();
        assert!(matches!(refused, RoomError::Denied(_)), "{refused}");
        let refused = world.set_state(&bob, &room, "m.room.name", json!({ "name": "mine" })).await;
        assert!(matches!(refused, Err(RoomError::Denied(_))));
        assert_eq!(world.rooms.find(&room).await.unwrap().unwrap().view().revision(), revision);
        world.invite(&alice, &bob, &room).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        assert!(world.invite(&bob, &carol, &room).await.is_ok(), "invites are free here");
        let refused = world.rooms.kick(other(&bob, &alice, &room)).await;
        assert!(matches!(refused, Err(RoomError::Denied(_))));
        world.rooms.ban(other(&alice, &bob, &room)).await.unwrap();
        assert_eq!(world.membership(&bob, &room).await, Membership::Ban);
        assert!(matches!(world.join(&bob, &room).await, Err(RoomError::Denied(_))));
        world.rooms.unban(other(&alice, &bob, &room)).await.unwrap();
        let again = world.rooms.unban(other(&alice, &bob, &room)).await;
        assert!(matches!(again, Err(RoomError::BadState(_))));
    })
    .await;
}

#[tokio::test]
async fn leaving_forgetting_and_coming_back() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        assert!(world.leave(&bob, &room).await.is_err(), "he never was in it");
        let joined = world.join(&bob, &room).await.unwrap();
        assert_eq!(world.join(&bob, &room).await.unwrap().event_id, joined.event_id);
        assert_eq!(world.rooms.joined_rooms(&bob).await.unwrap(), std::slice::from_ref(&room));
        let still = world.rooms.forget(&bob, &room).await;
        assert!(matches!(still, Err(RoomError::StillInRoom)));
        let said = world.say(&alice, &room, "hello").await;
        let left = world.leave(&bob, &room).await.unwrap();
        assert_eq!(world.leave(&bob, &room).await.unwrap().event_id, left.event_id);
        world.read(&bob, &room, &said).await.unwrap();
        world.rooms.forget(&bob, &room).await.unwrap();
        for event in [&said, &joined.event_id, &left.event_id] {
            let gone = world.read(&bob, &room, event).await;
            assert!(matches!(gone, Err(RoomError::EventNotFound)));
        }
        let number = world.rooms.inner.find_user(&bob).await.unwrap().unwrap();
        let entry = world.rooms.memberships(number).await.unwrap();
        let entry = entry.values().next().unwrap();
        assert!(entry.forgotten && entry.membership == Membership::Leave);
        assert!(entry.joined_until.is_some());
        world.join(&bob, &room).await.unwrap();
        let entry = world.rooms.memberships(number).await.unwrap();
        assert!(!entry.values().next().unwrap().forgotten);
        world.read(&bob, &room, &said).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_same_state_again_is_the_same_event() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let name = json!({ "name": "one" });
        let first = world.set_state(&alice, &room, "m.room.name", name.clone()).await.unwrap();
        let second = world.set_state(&alice, &room, "m.room.name", name).await.unwrap();
        assert_eq!(first, second);
        let third = world.set_state(&alice, &room, "m.room.name", json!({ "name": "two" })).await;
        assert_ne!(first, third.unwrap());
    })
    .await;
}

#[tokio::test]
async fn everything_asked_for_at_creation_is_there() {
    each_version(async |world, rules| {
        let (alice, bob) = (user("alice"), user("bob"));
        let request = CreateRoom {
            version: Some(rules.version()),
            alias_localpart: Some(format!("tea{}", rules.id)),
            name: Some("Tea".to_owned()),
            topic: Some("All about tea".to_owned()),
            invite: vec![(bob.clone(), crate::MemberProfile::default())],
            is_direct: true,
            public: true,
            power_level_content_override: Some(
                to_raw_value(&json!({ "events_default": 10 })).unwrap(),
            ),
            ..room_of(&alice, RoomPreset::TrustedPrivateChat)
        };
        let room = world.rooms.create(request.clone()).await.unwrap();
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(view.field(store::numbers::NAME, "name").as_deref(), Some("Tea"));
        let topic = view.field(store::numbers::TOPIC, "topic");
        assert_eq!(topic.as_deref(), Some("All about tea"));
        assert_eq!(view.invited_count(), 1);
        assert_eq!(view.powers().of_user(&bob), view.powers().of_user(&alice));
        assert_eq!(view.powers().to_send("m.room.message", false), 10);
        let alias = ruma::RoomAliasId::parse(format!("#tea{}:example.org", rules.id)).unwrap();
        assert_eq!(world.rooms.resolve_alias(&alias).await.unwrap().unwrap().0, room);
        assert!(world.rooms.is_published(&room).await.unwrap());
        let again = world.rooms.create(request).await;
        assert!(matches!(again, Err(RoomError::AliasTaken)));
        world.rooms.join(own(&bob, &room)).await.unwrap();
        let member = keys::member_key(world.rooms.inner.find_user(&bob).await.unwrap().unwrap());
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert!(view.state_event(member).is_some());
    })
    .await;
}

#[tokio::test]
async fn what_no_room_can_begin_with() {
    each_version(async |world, rules| {
        let alice = user("alice");
        let create = async |event_type: &str, content: serde_json::Value| {
            let state = InitialState {
                event_type: event_type.to_owned(),
                state_key: String::new(),
                content: to_raw_value(&content).unwrap(),
            };
            let request = CreateRoom {
                version: Some(rules.version()),
                alias_localpart: Some(format!("first{}", rules.id)),
                initial_state: vec![state],
                ..room_of(&alice, RoomPreset::PrivateChat)
            };
            world.rooms.create(request).await
        };
        let twice = create("m.room.create", json!({ "type": "m.space" })).await;
        assert!(matches!(twice, Err(RoomError::InvalidRoomState(_))));
        let named = |localpart: &str| json!({ "alias": format!("#{localpart}:example.org") });
        let foreign = create("m.room.canonical_alias", named("other")).await;
        assert!(matches!(foreign, Err(RoomError::BadAlias(_))));
        let own = format!("first{}", rules.id);
        let room = create("m.room.canonical_alias", named(&own)).await.unwrap();
        let again = world.set_state(&alice, &room, "m.room.create", json!({})).await;
        assert!(matches!(again, Err(RoomError::Forbidden(_))));
    })
    .await;
}

#[tokio::test]
async fn what_is_too_long() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let (fits, long) = ("x".repeat(255), "x".repeat(256));
        world.submit(&alice, &room, (&fits, Some(&fits), json!({}))).await.unwrap();
        for (event_type, state_key) in [(&long, &fits), (&fits, &long)] {
            let refused =
                world.submit(&alice, &room, (event_type, Some(state_key), json!({}))).await;
            assert!(matches!(refused, Err(RoomError::TooLarge)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_is_not_shut_out_by_its_own_users() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let set = async |acl| world.set_state(&alice, &room, "m.room.server_acl", acl).await;
        let wrong = [
            json!({}),
            json!({ "allow": ["*"], "deny": ["example.*"] }),
            json!({ "allow": ["elsewhere.org"] }),
        ];
        for acl in wrong {
            assert!(matches!(set(acl).await, Err(RoomError::InvalidParam(_))));
        }
        set(json!({ "allow": ["*"], "deny": ["evil.example"] })).await.unwrap();
    })
    .await;
}

/// Whoever may set other state may not yet replace the room.
#[tokio::test]
async fn a_tombstone_needs_more_power_than_other_state() {
    each_version(async |world, rules| {
        let alice = user("alice");
        for (state, expected) in [(50, 150), (200, 201)] {
            let levels = json!({ "state_default": state, "users": { alice.as_str(): 300 } });
            let creators = json!({ "state_default": state });
            let levels = if rules.privileged_creators() { creators } else { levels };
            let request = CreateRoom {
                version: Some(rules.version()),
                power_level_content_override: Some(to_raw_value(&levels).unwrap()),
                ..room_of(&alice, RoomPreset::PublicChat)
            };
            let room = world.rooms.create(request).await.unwrap();
            let view = world.rooms.find(&room).await.unwrap().unwrap().view();
            let levels = view.state_pdu(POWER_LEVELS).unwrap();
            let events = levels.content_field::<serde_json::Value>("events").unwrap();
            let expected = if rules.privileged_creators() { expected } else { 100 };
            assert_eq!(events["m.room.tombstone"], expected);
        }
    })
    .await;
}
