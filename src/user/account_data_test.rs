//! Account data, its positions and records, tags, and the ignore list.

use ruma::room_id;
use serde_json::{Value, json, value::to_raw_value};
use store::{Change, Position, Store, testing::for_each_engine};

use super::*;
use crate::testing::{Someone, World};

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

async fn set(world: &World, user: &Someone, kind: &str, value: Value) -> Result<(), Error> {
    world.account_data.set(&user.requester, None, kind, raw(&value)).await
}

async fn get(world: &World, user: &Someone, room: Option<&RoomId>, kind: &str) -> Option<Value> {
    let found = world.account_data.find(&user.requester, room, kind).await.unwrap();
    found.map(|content| serde_json::from_str(content.get()).unwrap())
}

/// What the log tells since a position: type and content.
fn told(store: &Store, since: Position) -> Vec<(String, Option<String>)> {
    let records = store.log().since(since).unwrap();
    let entry = |change: &Change| match change {
        Change::AccountData(change) => {
            let content = change.content.as_ref().map(|content| content.get().to_owned());
            Some((change.data_type.to_string(), content))
        }
        _ => None,
    };
    records.iter().filter_map(|record| entry(&record.change)).collect()
}

#[tokio::test]
async fn data_is_kept_per_user_room_and_type() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
        let room = room_id!("!r:example.org");
        world.room(room).await;
        let before = store.position();
        set(&world, &alice, "m.x", json!({"a": 1})).await.unwrap();
        let in_room = raw(&json!({"a": 2}));
        world.account_data.set(&alice.requester, Some(room), "m.x", in_room).await.unwrap();
        assert_eq!(get(&world, &alice, None, "m.x").await, Some(json!({"a": 1})));
        assert_eq!(get(&world, &alice, Some(room), "m.x").await, Some(json!({"a": 2})));
        assert_eq!(get(&world, &bob, None, "m.x").await, None);
        assert_eq!(get(&world, &alice, None, "m.y").await, None);
        // The same again is a change, too: clients wait for it.
        set(&world, &alice, "m.x", json!({"a": 1})).await.unwrap();
        let entry = |content: &str| ("m.x".to_owned(), Some(content.to_owned()));
        let expected = [entry(r#"{"a":1}"#), entry(r#"{"a":2}"#), entry(r#"{"a":1}"#)];
        assert_eq!(told(&store, before), expected);

        let (user, upto) = (alice.requester.user(), store.position());
        let (changed, all) = store
            .read(move |snapshot| {
                let changed = rows::list_changed(snapshot, user, before, upto)?;
                Ok::<_, store::Error>((changed, rows::list(snapshot, user, upto)?))
            })
            .await
            .unwrap();
        assert_eq!((changed.len(), all.len()), (2, 2));
        assert!(changed[0].room.is_some() && changed[1].room.is_none());
        assert_eq!(changed[1].position, upto);
    })
    .await;
}

#[tokio::test]
async fn a_removal_is_told_and_then_nothing_is_there() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let alice = world.someone("alice").await;
        set(&world, &alice, "m.x", json!({"a": 1})).await.unwrap();
        let before = store.position();
        world.account_data.remove(&alice.requester, None, "m.x").await.unwrap();
        assert_eq!(told(&store, before), [("m.x".to_owned(), None)]);
        assert_eq!(get(&world, &alice, None, "m.x").await, None);
        let after = store.position();
        world.account_data.remove(&alice.requester, None, "m.x").await.unwrap();
        world.account_data.remove(&alice.requester, None, "m.never").await.unwrap();
        assert_eq!(store.position(), after);
        let user = alice.requester.user();
        let (changed, all) = store
            .read(move |snapshot| {
                let changed = rows::list_changed(snapshot, user, before, after)?;
                Ok::<_, store::Error>((changed, rows::list(snapshot, user, after)?))
            })
            .await
            .unwrap();
        assert!(changed.len() == 1 && changed[0].content.is_none());
        assert!(all.is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_the_server_manages_is_refused() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        for kind in [FULLY_READ, PUSH_RULES] {
            let refused = set(&world, &alice, kind, json!({})).await;
            assert!(matches!(refused, Err(Error::ManagedAccountData)));
            let refused = world.account_data.remove(&alice.requester, None, kind).await;
            assert!(matches!(refused, Err(Error::ManagedAccountData)));
        }
        for nonsense in [r#"{"a":"\ud800"}"#, r#"{"\udc00":1}"#, r#"{"a":1e999}"#, "[]", "5"] {
            let content = RawValue::from_string(nonsense.to_owned()).unwrap();
            let refused = world.account_data.set(&alice.requester, None, "m.x", content).await;
            assert!(matches!(refused, Err(Error::BadJson(_))), "{nonsense}");
        }
        let refused = set(&world, &alice, "m.x", json!([])).await;
        assert!(matches!(refused, Err(Error::BadJson(_))));
        let refused = set(&world, &alice, "m.x", json!({"a": "x".repeat(1 << 20)})).await;
        assert!(matches!(refused, Err(Error::TooLarge(_))));
        let refused = set(&world, &alice, &"x".repeat(256), json!({})).await;
        assert!(matches!(refused, Err(Error::InvalidParam(_))));
        let unknown = Some(room_id!("!unknown:example.org"));
        let content = raw(&json!({}));
        let refused = world.account_data.set(&alice.requester, unknown, "m.x", content).await;
        assert!(matches!(refused, Err(Error::NotFound(_))));
        assert_eq!(get(&world, &alice, unknown, "m.x").await, None);
    })
    .await;
}

#[tokio::test]
async fn everybody_has_push_rules() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let rules = get(&world, &alice, None, PUSH_RULES).await.unwrap();
        assert!(rules["global"]["override"].as_array().unwrap().len() > 5);
        assert!(rules["global"]["underride"].as_array().unwrap().len() > 3);
    })
    .await;
}

#[tokio::test]
async fn tags_are_changed_one_by_one() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let alice = world.someone("alice").await;
        let (old, new) = (room_id!("!old:example.org"), room_id!("!new:example.org"));
        world.room(old).await;
        world.room(new).await;
        let data = &world.account_data;
        let favourite = json!({"order": 0.5}).as_object().cloned().unwrap();
        let (one, two) = tokio::join!(
            data.set_tag(&alice.requester, old, "m.favourite", favourite),
            data.set_tag(&alice.requester, old, "u.work", Map::new())
        );
        one.and(two).unwrap();
        let tags = data.list_tags(&alice.requester, old).await.unwrap();
        assert_eq!(Value::Object(tags), json!({"m.favourite": {"order": 0.5}, "u.work": {}}));
        data.remove_tag(&alice.requester, old, "u.work").await.unwrap();
        let before = store.position();
        data.remove_tag(&alice.requester, old, "u.work").await.unwrap();
        assert_eq!(store.position(), before);
        let long = "x".repeat(256);
        let refused = data.set_tag(&alice.requester, old, &long, Map::new());
        assert!(matches!(refused.await, Err(Error::InvalidParam(_))));

        let direct = json!({"@bob:example.org": [old], "@carol:example.org": []});
        set(&world, &alice, "m.direct", direct).await.unwrap();
        data.carry_over(&alice.user_id, old, new).await.unwrap();
        let tags = data.list_tags(&alice.requester, new).await.unwrap();
        assert_eq!(Value::Object(tags), json!({"m.favourite": {"order": 0.5}}));
        let direct = json!({"@bob:example.org": [old, new], "@carol:example.org": []});
        assert_eq!(get(&world, &alice, None, "m.direct").await, Some(direct));
        let before = store.position();
        data.carry_over(&alice.user_id, old, new).await.unwrap();
        let unknown = room_id!("!unknown:example.org");
        data.carry_over(&alice.user_id, unknown, new).await.unwrap();
        assert_eq!(store.position(), before);
    })
    .await;
}

#[tokio::test]
async fn the_ignore_list_follows_its_account_data() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let user = alice.requester.user();
        let ignored = async |world: &World| {
            let mut users: Vec<String> =
                world.ignored.of(user).await.unwrap().iter().map(ToString::to_string).collect();
            users.sort();
            users
        };
        assert!(ignored(&world).await.is_empty());
        let list = json!({"ignored_users": {"@b:x.org": {}, "@c:x.org": {}, "nonsense": {}}});
        set(&world, &alice, "m.ignored_user_list", list).await.unwrap();
        for world in [&world, &world.restarted().await] {
            assert_eq!(ignored(world).await, ["@b:x.org", "@c:x.org"]);
        }
        world.account_data.remove(&alice.requester, None, "m.ignored_user_list").await.unwrap();
        assert!(ignored(&world).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_wants_no_invitations_says_so_in_account_data() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
        let blocks = async |world: &World, someone: &Someone| {
            let user = someone.requester.user();
            let cached = world.ignored.blocks_invites(user).await.unwrap();
            let read = world.ignored.blocks_invites_by_id(&someone.user_id).await.unwrap();
            assert_eq!(cached, read);
            read
        };
        assert!(!blocks(&world, &alice).await);
        for (content, expected) in [
            (json!({"default_action": "block"}), true),
            (json!({"default_action": 1}), false),
            (json!({"default_action": "block", "more": {}}), true),
            (json!({}), false),
            (json!({"default_action": "block"}), true),
        ] {
            set(&world, &alice, "m.invite_permission_config", content).await.unwrap();
            for world in [&world, &world.restarted().await] {
                assert_eq!(blocks(world, &alice).await, expected);
                assert!(!blocks(world, &bob).await);
            }
        }
        world
            .account_data
            .remove(&alice.requester, None, "m.invite_permission_config")
            .await
            .unwrap();
        assert!(!blocks(&world, &alice).await);
        let nobody = ruma::user_id!("@nobody:example.org");
        assert!(!world.ignored.blocks_invites_by_id(nobody).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn all_that_a_user_has_is_bounded() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
        let large = json!({"a": "x".repeat((1 << 20) - 8)});
        for number in 0..15 {
            set(&world, &alice, &format!("m.{number}"), large.clone()).await.unwrap();
        }
        // The sixteenth would fit without what the others count besides their contents.
        let refused = set(&world, &alice, "m.more", large.clone()).await;
        assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
        set(&world, &bob, "m.more", large.clone()).await.unwrap();
        // What is replaced or removed makes room.
        set(&world, &alice, "m.0", large.clone()).await.unwrap();
        set(&world, &alice, "m.0", json!({})).await.unwrap();
        world.account_data.remove(&alice.requester, None, "m.1").await.unwrap();
        set(&world, &alice, "m.more", large).await.unwrap();
    })
    .await;
}
