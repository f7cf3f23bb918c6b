//! Room upgrades.

use std::sync::Arc;

use futures_util::future::join_all;
use proto::rules::Rules;
use ruma::{OwnedRoomAliasId, RoomVersionId, api::client::room::create_room::v3::RoomPreset};
use serde_json::json;
use store::{
    numbers::{CANONICAL_ALIAS, CREATE, JOIN_RULES, NAME, TOMBSTONE},
    testing::{ManualClock, count_groups, for_each_engine},
};

use super::world::{World, each_version, each_world, other, room_of, user};
use crate::{
    Membership, RoomError, Rooms, Setup,
    create::CreateRoom,
    upgrade::{REPEATED_MS, UpgradeRoom},
};

fn upgrade(sender: &ruma::UserId, room: &ruma::RoomId, version: RoomVersionId) -> UpgradeRoom {
    UpgradeRoom {
        sender: sender.to_owned(),
        profile: crate::MemberProfile::default(),
        room_id: room.to_owned(),
        version,
        additional_creators: Vec::new(),
    }
}

#[tokio::test]
async fn every_version_can_be_upgraded_to_the_newest_and_to_the_oldest() {
    each_version(async |world, rules| {
        let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
        let all = Rules::all().collect::<Vec<_>>();
        for (number, to) in [all[0], all[all.len() - 1]].into_iter().enumerate() {
            let made = CreateRoom {
                version: Some(rules.version()),
                alias_localpart: Some(format!("tea{}-{number}", rules.id)),
                name: Some("Tea".to_owned()),
                public: true,
                ..room_of(&alice, RoomPreset::PublicChat)
            };
            let old = world.rooms.create(made).await.unwrap();
            world.join(&bob, &old).await.unwrap();
            world.rooms.ban(other(&alice, &carol, &old)).await.unwrap();
            let new = world.rooms.upgrade(upgrade(&alice, &old, to.version())).await.unwrap();
            let old_view = world.rooms.find(&old).await.unwrap().unwrap().view();
            let view = world.rooms.find(&new).await.unwrap().unwrap().view();
            assert_eq!(view.rules().id, to.id);
            assert_eq!(view.field(NAME, "name").as_deref(), Some("Tea"));
            assert_eq!(view.field(JOIN_RULES, "join_rule").as_deref(), Some("public"));
            let alias = format!("#tea{}-{number}:example.org", rules.id);
            assert_eq!(view.field(CANONICAL_ALIAS, "alias"), Some(alias));
            assert_eq!(old_view.field(CANONICAL_ALIAS, "alias"), None);
            // Whoever could replace the old room can replace the new one, too.
            assert!(view.powers().may_send(&alice, "m.room.tombstone", true));
            let replacement = old_view.field(TOMBSTONE, "replacement_room");
            assert_eq!(replacement.as_deref(), Some(new.as_str()));
            let create = view.state_pdu(CREATE).unwrap();
            let predecessor = create.content_field::<serde_json::Value>("predecessor").unwrap();
            assert_eq!(predecessor["room_id"], old.as_str());
            assert_eq!(world.membership(&carol, &new).await, Membership::Ban);
            assert!(world.rooms.is_published(&new).await.unwrap());
            assert!(!world.rooms.is_published(&old).await.unwrap());
            let silent = world.submit(&bob, &old, ("m.room.message", None, json!({}))).await;
            assert!(matches!(silent, Err(RoomError::Denied(_))));
            world.join(&bob, &new).await.unwrap();
            world.say(&bob, &new, "here we are").await;
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_powerful_upgrade_and_only_to_what_there_is() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        let refused = world.rooms.upgrade(upgrade(&bob, &room, RoomVersionId::V11)).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        let unknown = RoomVersionId::try_from("org.example.99").unwrap();
        let refused = world.rooms.upgrade(upgrade(&alice, &room, unknown)).await;
        assert!(matches!(refused, Err(RoomError::UnsupportedVersion(_))));
    })
    .await;
}

/// Whatever moves to the new room moves as the old one is closed: a stop can come between the two
/// changes of an upgrade only, and then nothing has moved.
#[tokio::test]
async fn the_old_room_is_closed_and_handed_over_in_one_change() {
    each_world(async |world| {
        let alice = user("alice");
        let request = |alias: &str| CreateRoom {
            alias_localpart: Some(alias.to_owned()),
            public: true,
            ..room_of(&alice, RoomPreset::PublicChat)
        };
        let elsewhere = world.rooms.create(request("elsewhere")).await.unwrap();
        let old = world.rooms.create(request("tea")).await.unwrap();
        let names = |local: &str| format!("#{local}:{}", alice.server_name());
        let further = OwnedRoomAliasId::try_from(names("coffee")).unwrap();
        world.rooms.create_alias(&alice, &further, &old, false).await.unwrap();
        let named = json!({ "alias": names("tea"), "alt_aliases": [names("coffee")] });
        world.submit(&alice, &old, ("m.room.canonical_alias", Some(""), named)).await.unwrap();
        // An alias that the event still names, though it has come to point at another room.
        world.rooms.delete_alias(&user("root"), &further, true).await.unwrap();
        world.rooms.create_alias(&alice, &further, &elsewhere, false).await.unwrap();

        let before = count_groups(&world.rooms.inner.setup.store).await;
        let new = world.rooms.upgrade(upgrade(&alice, &old, RoomVersionId::V11)).await.unwrap();
        assert_eq!(count_groups(&world.rooms.inner.setup.store).await, before + 2);

        let canonical = async |room| {
            let view = world.rooms.find(room).await.unwrap().unwrap().view();
            let content = view.state_pdu(CANONICAL_ALIAS).unwrap().content().to_owned();
            serde_json::from_str::<serde_json::Value>(&content).unwrap()
        };
        assert_eq!(canonical(&new).await, json!({ "alias": names("tea") }));
        assert_eq!(canonical(&old).await, json!({ "alt_aliases": [names("coffee")] }));
        let tea = OwnedRoomAliasId::try_from(names("tea")).unwrap();
        assert_eq!(world.rooms.resolve_alias(&tea).await.unwrap().unwrap().0, new);
        assert_eq!(world.rooms.resolve_alias(&further).await.unwrap().unwrap().0, elsewhere);
        world.say(&alice, &old, "nobody lists this any more").await;
        assert!(!world.rooms.is_published(&old).await.unwrap());
    })
    .await;
}

/// Who may not silence the old room may replace it all the same.
#[tokio::test]
async fn a_room_that_cannot_be_silenced_is_replaced() {
    each_world(async |world| {
        let alice = user("alice");
        let made = CreateRoom {
            version: Some(RoomVersionId::V11),
            public: true,
            ..room_of(&alice, RoomPreset::PublicChat)
        };
        let room = world.rooms.create(made).await.unwrap();
        let levels = json!({ "users": { alice.as_str(): 50 }, "users_default": 60,
            "state_default": 50, "events": { "m.room.power_levels": 50 } });
        world.submit(&alice, &room, ("m.room.power_levels", Some(""), levels)).await.unwrap();
        // What would silence the room lies above what alice may set.
        let new = world.rooms.upgrade(upgrade(&alice, &room, RoomVersionId::V11)).await.unwrap();
        assert!(world.rooms.is_published(&new).await.unwrap());
        assert!(!world.rooms.is_published(&room).await.unwrap());
        let view = world.rooms.find(&room).await.unwrap().unwrap().view();
        assert!(view.state_pdu(TOMBSTONE).is_some());
    })
    .await;
}

#[tokio::test]
async fn each_further_creator_is_named_once() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let old = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let request = UpgradeRoom {
            additional_creators: vec![bob.clone(), alice.clone(), bob.clone()],
            ..upgrade(&alice, &old, RoomVersionId::V12)
        };
        let new = world.rooms.upgrade(request).await.unwrap();
        let view = world.rooms.find(&new).await.unwrap().unwrap().view();
        let create = view.state_pdu(CREATE).unwrap();
        let creators = create.content_field::<Vec<String>>("additional_creators");
        assert_eq!(creators.unwrap(), [bob.as_str()]);
    })
    .await;
}

#[tokio::test]
async fn whoever_upgrades_at_the_same_time_gets_the_same_room() {
    each_world(async |world| {
        let alice = user("alice");
        let made = CreateRoom {
            alias_localpart: Some("tea".to_owned()),
            ..room_of(&alice, RoomPreset::PublicChat)
        };
        let old = world.rooms.create(made).await.unwrap();
        let ask = |version| world.rooms.upgrade(upgrade(&alice, &old, version));
        let versions = [RoomVersionId::V11, RoomVersionId::V11, RoomVersionId::V10];
        let upgraded = join_all(versions.map(ask)).await;
        let new = upgraded[0].as_ref().unwrap();
        assert_eq!(upgraded[1].as_ref().unwrap(), new);
        assert!(matches!(upgraded[2], Err(RoomError::Forbidden(_))));
        let view = world.rooms.find(&old).await.unwrap().unwrap().view();
        assert_eq!(view.field(TOMBSTONE, "replacement_room").as_deref(), Some(new.as_str()));
        let alias = OwnedRoomAliasId::try_from("#tea:example.org").unwrap();
        assert_eq!(world.rooms.resolve_alias(&alias).await.unwrap().unwrap().0, *new);
    })
    .await;
}

/// A client that has not heard the answer asks again.
#[tokio::test]
async fn the_same_upgrade_asked_for_again_is_the_same_for_some_time() {
    for_each_engine(|store| async move {
        let clock = Arc::new(ManualClock::default());
        let base = crate::testing::setup(store, "example.org", 1);
        let world = World { rooms: Rooms::new(Setup { clock: Arc::clone(&clock) as _, ..base }) };
        let (alice, bob) = (user("alice"), user("bob"));
        let old = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let request = |version| upgrade(&alice, &old, version);
        let ask = |request| world.rooms.upgrade(request);
        let first = ask(request(RoomVersionId::V12)).await.unwrap();
        assert_eq!(ask(request(RoomVersionId::V12)).await.unwrap(), first);
        // Whoever asks for something else gets that.
        let further = UpgradeRoom { additional_creators: vec![bob], ..request(RoomVersionId::V12) };
        let second = ask(further.clone()).await.unwrap();
        assert_ne!(second, first);
        assert_eq!(ask(further).await.unwrap(), second);
        let third = ask(request(RoomVersionId::V11)).await.unwrap();
        assert_eq!(ask(request(RoomVersionId::V11)).await.unwrap(), third);
        clock.advance(REPEATED_MS);
        assert_ne!(ask(request(RoomVersionId::V11)).await.unwrap(), third);
    })
    .await;
}

/// A tombstone that leads elsewhere is no upgrade.
#[tokio::test]
async fn a_tombstone_written_by_hand_keeps_nobody_from_upgrading() {
    each_world(async |world| {
        let alice = user("alice");
        let create = || world.rooms.create(room_of(&alice, RoomPreset::PublicChat));
        let (old, elsewhere) = (create().await.unwrap(), create().await.unwrap());
        for replacement in [json!(elsewhere), json!(old), json!("!nowhere:example.org"), json!(3)] {
            let content = json!({ "body": "moved", "replacement_room": replacement });
            world.set_state(&alice, &old, "m.room.tombstone", content).await.unwrap();
            let version = world.rooms.inner.setup.settings.load().default_version.clone();
            let new = world.rooms.upgrade(upgrade(&alice, &old, version)).await.unwrap();
            let view = world.rooms.find(&old).await.unwrap().unwrap().view();
            assert_eq!(view.field(TOMBSTONE, "replacement_room").as_deref(), Some(new.as_str()));
        }
    })
    .await;
}
