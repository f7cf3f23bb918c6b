//! Room upgrades.

use proto::rules::Rules;
use ruma::{RoomVersionId, api::client::room::create_room::v3::RoomPreset};
use serde_json::json;
use store::numbers::{CANONICAL_ALIAS, CREATE, JOIN_RULES, NAME, TOMBSTONE};

use super::world::{each_version, each_world, other, room_of, user};
use crate::{Membership, RoomError, create::CreateRoom, upgrade::UpgradeRoom};

fn request(sender: &ruma::UserId, room: &ruma::RoomId, version: RoomVersionId) -> UpgradeRoom {
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
            let new = world.rooms.upgrade(request(&alice, &old, to.version())).await.unwrap();
            let old_view = world.rooms.find(&old).await.unwrap().unwrap().view();
            let view = world.rooms.find(&new).await.unwrap().unwrap().view();
            assert_eq!(view.rules().id, to.id);
            assert_eq!(view.field(NAME, "name").as_deref(), Some("Tea"));
            assert_eq!(view.field(JOIN_RULES, "join_rule").as_deref(), Some("public"));
            assert_eq!(
                view.field(CANONICAL_ALIAS, "alias"),
                old_view.field(CANONICAL_ALIAS, "alias")
            );
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
        let refused = world.rooms.upgrade(request(&bob, &room, RoomVersionId::V11)).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        let unknown = RoomVersionId::try_from("org.example.99").unwrap();
        let refused = world.rooms.upgrade(request(&alice, &room, unknown)).await;
        assert!(matches!(refused, Err(RoomError::UnsupportedVersion(_))));
    })
    .await;
}
