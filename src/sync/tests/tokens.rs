//! Tokens: used again, of another run, from the future, not tokens at all.

use serde_json::json;
use store::testing::for_each_database;

use super::world::{Client, World, each_world, joined, timeline};
use crate::{
    Error,
    token::{SyncToken, TokenError},
};

#[tokio::test]
async fn an_old_token_loses_nothing() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        alice.sync().await;
        let held = alice.since.clone();
        alice.say(&room, "one").await;
        let content = serde_json::value::to_raw_value(&json!({"a": 1})).unwrap();
        let requester = &alice.requester;
        world.account_data.set(requester, None, "org.example", content).await.unwrap();
        let lost = alice.sync().await;
        alice.since.clone_from(&held);
        assert_eq!(alice.sync().await, lost);
        alice.say(&room, "two").await;
        alice.since = held;
        let answer = alice.sync().await;
        assert_eq!(timeline(joined(&answer, &room)), ["one", "two"]);
        assert_eq!(answer["account_data"], lost["account_data"]);
    })
    .await;
}

async fn refused(client: &Client, since: &str) -> TokenError {
    let mut request = client.request();
    request.since = Some(since.to_owned());
    match client.ask(request).await {
        Err(Error::Since(error)) => error,
        other => panic!("{since}: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        alice.create().await;
        alice.sync().await;
        let now = alice.since.as_ref().unwrap().parse::<SyncToken>().unwrap();
        for since in ["", "nonsense", "t1_2", "s1_1_1", "s1_99999999999999999999999_1_1"] {
            assert_eq!(refused(&alice, since).await, TokenError::Malformed);
        }
        let later = SyncToken { position: proto::number::Position(now.position.0 + 1), ..now };
        assert_eq!(refused(&alice, &later.to_string()).await, TokenError::Future);
        let later = SyncToken { ephemeral: now.ephemeral + 1, ..now };
        assert_eq!(refused(&alice, &later.to_string()).await, TokenError::Future);
    })
    .await;
}

#[tokio::test]
async fn a_token_of_another_run_is_good_for_what_is_durable() {
    for_each_database(async |database| {
        let store = database.open().await;
        let world = World::open(store.clone(), 1).await;
        let login = user::session::NewSession {
            device_id: Some("A".into()),
            initial_device_display_name: None,
            refresh_token: false,
            seen: user::Seen::default(),
        };
        let registration = user::account::Registration {
            username: Some("alice".to_owned()),
            login: Some(login),
            ..user::account::Registration::default()
        };
        let registered = world.accounts.register(registration).await.unwrap();
        let token = registered.session.unwrap().tokens.access_token;
        let mut alice = world.client(&token).await;
        let room = alice.create().await;
        world.parts.typing.set(&alice.requester, &room, Some(60_000)).await.unwrap();
        alice.sync().await;
        alice.say(&room, "before the restart").await;
        let since = alice.since.clone();
        drop((alice, world));
        store.close().await;

        let world = World::open(database.open().await, 2).await;
        let mut alice = world.client(&token).await;
        alice.since = since;
        let answer = alice.sync().await;
        let changed = joined(&answer, &room);
        assert_eq!(timeline(changed), ["before the restart"]);
        // Nobody is typing any more, which her client could not know.
        let typing = json!({"type": "m.typing", "content": {"user_ids": []}});
        assert_eq!(changed["ephemeral"]["events"], json!([typing]));
        let answer = alice.sync().await;
        assert_eq!(answer.get("rooms"), None);
        let since = alice.since.clone();
        drop(alice);
        world.store.close().await;

        // Now it shows nobody, and its token says so.
        let world = World::open(database.open().await, 3).await;
        let mut alice = world.client(&token).await;
        alice.since = since;
        assert_eq!(alice.sync().await.get("rooms"), None);
        world.store.close().await;
    })
    .await;
}

#[tokio::test]
async fn present_typing_is_told_to_a_token_of_another_run() {
    each_world(async |world| {
        let mut alice = world.register("alice").await;
        let room = alice.create().await;
        world.parts.typing.set(&alice.requester, &room, Some(60_000)).await.unwrap();
        alice.sync().await;
        let now = alice.since.as_ref().unwrap().parse::<SyncToken>().unwrap();
        let other = SyncToken { epoch: now.epoch ^ 1, ephemeral: now.ephemeral + 100, ..now };
        alice.since = Some(other.to_string());
        let answer = alice.sync().await;
        let typing = &joined(&answer, &room)["ephemeral"]["events"][0]["content"]["user_ids"];
        assert_eq!(*typing, json!(["@alice:example.org"]));
        assert_eq!(answer["next_batch"], now.to_string());
    })
    .await;
}
