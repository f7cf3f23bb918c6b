//! Who sees what of a room's history: each visibility, before, during and after a stay.

use ruma::api::client::room::create_room::v3::RoomPreset;
use serde_json::json;

use super::world::{World, each_world, other, room_of, user};
use crate::{
    RoomError,
    create::{CreateRoom, InitialState},
};

/// What bob sees of what alice says: before he is invited, while he is invited, while he is joined,
/// after he left, and a stranger at all.
async fn seen(world: &World, visibility: &str) -> [bool; 6] {
    let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
    let content = serde_json::value::to_raw_value(&json!({ "history_visibility": visibility }));
    let request = CreateRoom {
        initial_state: vec![InitialState {
            event_type: "m.room.history_visibility".to_owned(),
            state_key: String::new(),
            content: content.unwrap(),
        }],
        ..room_of(&alice, RoomPreset::PrivateChat)
    };
    let room = world.rooms.create(request).await.unwrap();
    let before = world.say(&alice, &room, "before").await;
    world.invite(&alice, &bob, &room).await.unwrap();
    let invited = world.say(&alice, &room, "invited").await;
    let while_invited = world.read(&bob, &room, &invited).await.is_ok();
    world.join(&bob, &room).await.unwrap();
    let joined = world.say(&alice, &room, "joined").await;
    world.leave(&bob, &room).await.unwrap();
    let left = world.say(&alice, &room, "left").await;
    let mut seen = [false; 6];
    for (place, event) in [&before, &invited, &joined, &left].into_iter().enumerate() {
        seen[place] = world.read(&bob, &room, event).await.is_ok();
    }
    seen[4] = while_invited;
    seen[5] = world.read(&carol, &room, &joined).await.is_ok();
    seen
}

#[tokio::test]
async fn each_visibility_shows_what_it_says() {
    each_world(async |world| {
        let matrix = [
            ("world_readable", [true, true, true, true, true, true]),
            ("shared", [true, true, true, false, false, false]),
            ("invited", [false, true, true, false, true, false]),
            ("joined", [false, false, true, false, false, false]),
            ("unknown", [true, true, true, false, false, false]),
        ];
        for (visibility, expected) in matrix {
            assert_eq!(seen(&world, visibility).await, expected, "{visibility}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_visibility_counts_from_there_on() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        let shared = world.say(&alice, &room, "shared").await;
        let hide = json!({ "history_visibility": "joined" });
        let hide = world.set_state(&alice, &room, "m.room.history_visibility", hide).await.unwrap();
        let hidden = world.say(&alice, &room, "hidden").await;
        world.join(&bob, &room).await.unwrap();
        assert!(world.read(&bob, &room, &shared).await.is_ok());
        assert!(world.read(&bob, &room, &hide).await.is_ok(), "seen by what was before it");
        let refused = world.read(&bob, &room, &hidden).await;
        assert!(matches!(refused, Err(RoomError::EventNotFound)));
    })
    .await;
}

#[tokio::test]
async fn whoever_is_banned_sees_the_ban_and_nothing_after_it() {
    each_world(async |world| {
        let (alice, bob) = (user("alice"), user("bob"));
        let room = world.rooms.create(room_of(&alice, RoomPreset::PublicChat)).await.unwrap();
        world.join(&bob, &room).await.unwrap();
        let ban = world.rooms.ban(other(&alice, &bob, &room)).await.unwrap().event_id;
        let later = world.say(&alice, &room, "about bob").await;
        assert!(world.read(&bob, &room, &ban).await.is_ok());
        assert!(world.read(&bob, &room, &later).await.is_err());
        let page = world.page(&bob, &room, None).await.unwrap();
        assert_eq!(page.events[0].event.event_id(), &*ban);
    })
    .await;
}
