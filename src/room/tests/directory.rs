//! The public directory and aliases.

use ruma::{RoomAliasId, api::client::room::create_room::v3::RoomPreset};
use serde_json::json;

use super::world::{each_world, room_of, user};
use crate::{RoomError, create::CreateRoom, directory::DirectoryQuery};

#[tokio::test]
async fn the_directory_pages_both_ways_and_searches() {
    each_world(async |world| {
        let alice = user("alice");
        for number in 0..7 {
            let request = CreateRoom {
                public: true,
                name: Some(format!("Room {number}")),
                topic: (number % 2 == 0).then(|| "Even ones".to_owned()),
                ..room_of(&alice, RoomPreset::PublicChat)
            };
            let room = world.rooms.create(request).await.unwrap();
            for guest in 0..number {
                world.join(&user(&format!("guest{guest}")), &room).await.unwrap();
            }
        }
        let names = |page: &crate::directory::DirectoryPage| {
            page.rooms.iter().map(|room| room.name.clone().unwrap()).collect::<Vec<_>>()
        };
        let query = |since| DirectoryQuery { limit: Some(3), since, ..DirectoryQuery::default() };
        let first = world.rooms.public_rooms(query(None)).await.unwrap();
        assert_eq!(names(&first), ["Room 6", "Room 5", "Room 4"]);
        assert_eq!((first.total, first.prev_batch.is_some()), (7, false));
        let second = world.rooms.public_rooms(query(first.next_batch.clone())).await.unwrap();
        assert_eq!(names(&second), ["Room 3", "Room 2", "Room 1"]);
        let third = world.rooms.public_rooms(query(second.next_batch.clone())).await.unwrap();
        assert_eq!(names(&third), ["Room 0"]);
        assert!(third.next_batch.is_none());
        let back = world.rooms.public_rooms(query(third.prev_batch.clone())).await.unwrap();
        assert_eq!(names(&back), names(&second));
        let back = world.rooms.public_rooms(query(back.prev_batch.clone())).await.unwrap();
        assert_eq!(names(&back), names(&first));
        assert!(back.prev_batch.is_none());
        let search =
            DirectoryQuery { search_term: Some("EVEN".to_owned()), ..DirectoryQuery::default() };
        let found = world.rooms.public_rooms(search).await.unwrap();
        assert_eq!(names(&found), ["Room 6", "Room 4", "Room 2", "Room 0"]);
        assert_eq!(found.rooms[0].joined_members, 7);
        let broken = world.rooms.public_rooms(query(Some("x".to_owned()))).await;
        assert!(matches!(broken, Err(RoomError::InvalidParam(_))));
    })
    .await;
}

#[tokio::test]
async fn publishing_takes_power_and_can_be_undone() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        assert!(world.rooms.publish(&bob, &room, true, false).await.is_err());
        world.rooms.publish(&alice, &room, true, false).await.unwrap();
        let all = || world.rooms.public_rooms(DirectoryQuery::default());
        assert_eq!(all().await.unwrap().rooms.len(), 1);
        world.set_state(&alice, &room, "m.room.name", json!({ "name": "new" })).await.unwrap();
        assert_eq!(all().await.unwrap().rooms[0].name.as_deref(), Some("new"));
        world.rooms.publish(&bob, &room, false, true).await.unwrap();
        assert!(all().await.unwrap().rooms.is_empty());
        assert!(!world.rooms.is_published(&room).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn aliases_point_at_rooms_and_a_canonical_one_must() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let alias = RoomAliasId::parse("#tea:example.org").unwrap();
        let content = json!({ "alias": alias });
        let set = || world.set_state(&alice, &room, "m.room.canonical_alias", content.clone());
        assert!(matches!(set().await, Err(RoomError::BadAlias(_))));
        assert!(
            world.rooms.create_alias(&bob, &alias, &room, false).await.is_err(),
            "not in the room"
        );
        world.rooms.create_alias(&alice, &alias, &room, false).await.unwrap();
        let again = world.rooms.create_alias(&alice, &alias, &room, false).await;
        assert!(matches!(again, Err(RoomError::AliasTaken)));
        set().await.unwrap();
        let listed = world.rooms.aliases(&alice, &room, false).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&alias));
        assert!(world.rooms.aliases(&bob, &room, false).await.is_err());
        let (found, servers) = world.rooms.resolve_alias(&alias).await.unwrap().unwrap();
        assert_eq!((found, servers.len()), (room.clone(), 1));
        let refused = world.rooms.delete_alias(&bob, &alias, false).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))));
        world.rooms.delete_alias(&alice, &alias, false).await.unwrap();
        assert!(world.rooms.resolve_alias(&alias).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn an_alias_is_short_and_can_be_written_down() {
    each_world(async |world| {
        let alice = user("alice");
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let longest = "x".repeat(255 - "#:example.org".len());
        let create = async |localpart: &str| {
            let alias = RoomAliasId::parse(format!("#{localpart}:example.org")).unwrap();
            let created = world.rooms.create_alias(&alice, &alias, &room, false).await;
            let request = CreateRoom {
                alias_localpart: Some(format!("{localpart}2")),
                ..room_of(&alice, RoomPreset::PublicChat)
            };
            (created, world.rooms.create(request).await)
        };
        for wrong in ["a b", "a\nb", "a\u{a0}b", &format!("{longest}x")] {
            let (created, with_room) = create(wrong).await;
            assert!(matches!(created, Err(RoomError::InvalidParam(_))), "{wrong:?}");
            assert!(matches!(with_room, Err(RoomError::InvalidParam(_))), "{wrong:?}");
        }
        let empty = RoomAliasId::parse("#:example.org").unwrap();
        let empty = world.rooms.create_alias(&alice, &empty, &room, false).await;
        assert!(matches!(empty, Err(RoomError::InvalidParam(_))));
        create(&longest).await.0.unwrap();
        create("tea-🫖").await.1.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_directory_lists_what_one_can_join_knock_on_or_read() {
    each_world(async |world| {
        let alice = user("alice");
        let request = CreateRoom { public: true, ..room_of(&alice, RoomPreset::PublicChat) };
        let room = world.rooms.create(request).await.unwrap();
        let set = async |event_type: &str, field: &str, value: &str| {
            world.set_state(&alice, &room, event_type, json!({ field: value })).await.unwrap();
            world.rooms.public_rooms(DirectoryQuery::default()).await.unwrap().rooms.len()
        };
        for (rule, listed) in
            [("public", 1), ("invite", 0), ("knock", 1), ("restricted", 0), ("knock_restricted", 1)]
        {
            assert_eq!(set("m.room.join_rules", "join_rule", rule).await, listed, "{rule}");
        }
        set("m.room.join_rules", "join_rule", "invite").await;
        let visible = "m.room.history_visibility";
        assert_eq!(set(visible, "history_visibility", "world_readable").await, 1);
        world.leave(&alice, &room).await.unwrap();
        let empty = world.rooms.public_rooms(DirectoryQuery::default()).await.unwrap();
        assert_eq!(empty.rooms, []);
    })
    .await;
}
