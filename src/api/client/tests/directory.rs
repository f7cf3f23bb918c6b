//! Aliases and the public directory.

use serde_json::{Value, json};

use super::world::{World, each_world, text};

#[tokio::test]
async fn aliases_come_and_go() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_public().await;
        let path = "directory/room/%23tea:example.org";
        alice.get(path).await.is(404, "M_NOT_FOUND");
        alice.put(path, &json!({ "room_id": room })).await.ok();
        let found = world.anonymous().get(path).await.ok();
        assert_eq!(found, json!({ "room_id": room, "servers": ["example.org"] }));
        alice.put(path, &json!({ "room_id": room })).await.is(409, "M_UNKNOWN");
        let elsewhere = "directory/room/%23tea:elsewhere.org";
        let reply = alice.put(elsewhere, &json!({ "room_id": room })).await;
        reply.is(400, "M_INVALID_PARAM");
        alice
            .put("directory/room/tea", &json!({ "room_id": room }))
            .await
            .is(400, "M_INVALID_PARAM");
        let list = format!("rooms/{room}/aliases");
        let aliases = json!({ "aliases": ["#tea:example.org"] });
        assert_eq!(alice.get(&list).await.ok(), aliases);
        bob.get(&list).await.is(403, "M_FORBIDDEN");
        bob.delete(path).await.is(403, "M_FORBIDDEN");
        bob.post("join/%23tea:example.org", &json!({})).await.ok();
        alice.delete(path).await.ok();
        alice.delete(path).await.is(404, "M_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn an_administrator_names_rooms_that_she_is_not_in() {
    each_world(async |world: World| {
        let (alice, root) = (world.register("alice").await, world.register_as("root", true).await);
        let room = alice.create_room(&json!({ "preset": "private_chat" })).await;
        let path = "directory/room/%23tea:example.org";
        root.put(path, &json!({ "room_id": room })).await.ok();
        let list = format!("rooms/{room}/aliases");
        let aliases = json!({ "aliases": ["#tea:example.org"] });
        assert_eq!(root.get(&list).await.ok(), aliases);
    })
    .await;
}

#[tokio::test]
async fn a_removed_alias_is_canonical_no_more() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_room(&json!({ "room_alias_name": "tea" })).await;
        alice.put("directory/room/%23hat:example.org", &json!({ "room_id": room })).await.ok();
        let path = format!("rooms/{room}/state/m.room.canonical_alias");
        let (tea, hat) = ("#tea:example.org", "#hat:example.org");
        alice.put(&path, &json!({ "alias": tea, "alt_aliases": [hat] })).await.ok();
        alice.delete("directory/room/%23hat:example.org").await.ok();
        assert_eq!(alice.get(&path).await.ok(), json!({ "alias": tea }));
        alice.delete("directory/room/%23tea:example.org").await.ok();
        assert_eq!(alice.get(&path).await.ok(), json!({}));
    })
    .await;
}

#[tokio::test]
async fn rooms_are_published_and_found() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let tea = alice.create_room(&json!({ "visibility": "public", "name": "Tea" })).await;
        let space = json!({ "type": "m.space" });
        let hats = json!({ "preset": "public_chat", "name": "Hats", "creation_content": space });
        let hats = alice.create_room(&hats).await;
        let list = format!("directory/list/room/{hats}");
        assert_eq!(alice.get(&list).await.ok(), json!({ "visibility": "private" }));
        alice.put(&list, &json!({})).await.ok();
        assert_eq!(alice.get(&list).await.ok(), json!({ "visibility": "public" }));
        let ids = |page: &Value| {
            let chunk = page["chunk"].as_array().unwrap().iter();
            let mut ids: Vec<String> = chunk.map(|room| text(&room["room_id"])).collect();
            ids.sort();
            ids
        };
        let mut both = vec![tea.clone(), hats.clone()];
        both.sort();
        let page = alice.get("publicRooms").await.ok();
        assert_eq!(ids(&page), both);
        assert_eq!(page["total_room_count_estimate"], 2);
        let first = alice.get("publicRooms?limit=1").await.ok();
        let since = text(&first["next_batch"]);
        let second = alice.get(&format!("publicRooms?limit=1&since={since}")).await.ok();
        let mut paged = [ids(&first), ids(&second)].concat();
        paged.sort();
        assert_eq!(paged, both);
        let search = async |filter: Value| {
            ids(&alice.post("publicRooms", &json!({ "filter": filter })).await.ok())
        };
        assert_eq!(search(json!({ "generic_search_term": "tea" })).await, [tea.as_str()]);
        assert_eq!(search(json!({ "room_types": ["m.space"] })).await, [hats.as_str()]);
        assert_eq!(search(json!({ "room_types": [null] })).await, [tea.as_str()]);
        alice.get("publicRooms?since=x").await.is(400, "M_INVALID_PARAM");
        alice.get("publicRooms?limit=-1").await.is(400, "M_INVALID_PARAM");
        let unknown = "directory/list/room/!none:example.org";
        alice.get(unknown).await.is(404, "M_NOT_FOUND");
        alice.put(unknown, &json!({})).await.is(404, "M_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn who_may_see_the_directory() {
    each_world(async |world: World| {
        let anonymous = world.anonymous();
        anonymous.get("publicRooms").await.is(401, "M_MISSING_TOKEN");
        world.state.room_settings.rcu(|settings| room::Settings {
            directory_without_login: true,
            ..room::Settings::clone(settings)
        });
        anonymous.get("publicRooms").await.ok();
        anonymous.get("publicRooms?server=elsewhere.org").await.is(502, "M_UNKNOWN");
        let wrong = anonymous.with_header("Authorization", "Bearer nonsense");
        wrong.get("publicRooms").await.is(401, "M_UNKNOWN_TOKEN");
    })
    .await;
}
