//! `/sync` over the router.

use ruma::UserId;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::world::{Client, PASSWORD, Reply, World, each_world, escape, text};

#[tokio::test]
async fn what_happened_comes_once() {
    each_world(async |world: World| {
        let (alice, bob) = (world.register("alice").await, world.register("bob").await);
        let room = alice.create_room(&json!({ "invite": [bob.user_id] })).await;
        let first = bob.get("sync").await.ok();
        assert!(first["rooms"]["invite"][&room].is_object());
        bob.join(&room).await;
        let event = alice.say(&room, "hello").await;
        let since = text(&first["next_batch"]);
        let second = bob.get(&format!("sync?since={since}")).await.ok();
        let timeline = second["rooms"]["join"][&room]["timeline"]["events"].as_array().unwrap();
        assert_eq!(timeline.last().unwrap()["event_id"], event);
        let since = text(&second["next_batch"]);
        let third = bob.get(&format!("sync?since={since}&timeout=10")).await.ok();
        assert_eq!(third.get("rooms"), None);
    })
    .await;
}

#[tokio::test]
async fn a_waiting_client_is_woken() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let filter = escape(r#"{"presence":{"types":[]}}"#);
        let since = text(&alice.get(&format!("sync?filter={filter}")).await.ok()["next_batch"]);
        let waiting = {
            let (alice, path) =
                (alice.clone(), format!("sync?since={since}&timeout=60000&filter={filter}"));
            tokio::spawn(async move { alice.get(&path).await })
        };
        tokio::task::yield_now().await;
        let event = alice.say(&room, "wake-up").await;
        let answer = waiting.await.unwrap().ok();
        let events = &answer["rooms"]["join"][&room]["timeline"]["events"];
        assert_eq!(events[0]["event_id"], event);
    })
    .await;
}

#[tokio::test]
async fn a_stop_answers_those_who_wait() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let filter = escape(r#"{"presence":{"types":[]}}"#);
        let first = alice.get(&format!("sync?filter={filter}&set_presence=offline")).await.ok();
        let since = text(&first["next_batch"]);
        let query = format!("since={since}&timeout=60000&filter={filter}&set_presence=offline");
        let waiting = {
            let alice = alice.clone();
            tokio::spawn(async move { alice.get(&format!("sync?{query}")).await })
        };
        tokio::task::yield_now().await;
        world.stopping.cancel();
        let answer = waiting.await.unwrap().ok();
        assert!(answer["next_batch"].is_string());
        // Whoever begins is answered in full.
        let initial = alice.get("sync").await.ok();
        assert!(initial["next_batch"].is_string());
    })
    .await;
}

/// A further session of a user.
async fn enter(alice: &Client) -> Client {
    let login = json!({ "type": "m.login.password", "user": alice.user_id, "password": PASSWORD });
    alice.of(&alice.post("login", &login).await.ok())
}

/// A long poll that began before this comes back.
async fn wait(client: &Client) -> JoinHandle<Reply> {
    let query = format!("filter={}&set_presence=offline", escape(r#"{"presence":{"types":[]}}"#));
    let since = text(&client.get(&format!("sync?{query}")).await.ok()["next_batch"]);
    let (client, path) = (client.clone(), format!("sync?{query}&since={since}&timeout=60000"));
    let waiting = tokio::spawn(async move { client.get(&path).await });
    tokio::task::yield_now().await;
    waiting
}

#[tokio::test]
async fn a_device_that_is_logged_out_waits_no_longer() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let (phone, desk) = (enter(&alice).await, enter(&alice).await);
        let (waiting, staying) = (wait(&phone).await, wait(&desk).await);
        phone.post("logout", &json!({})).await.ok();
        let ended = waiting.await.unwrap();
        ended.is(401, "M_UNKNOWN_TOKEN");
        assert_eq!(ended.body["soft_logout"], false);
        // The other one waits on.
        let event = alice.say(&room, "hello").await;
        let answer = staying.await.unwrap().ok();
        assert_eq!(answer["rooms"]["join"][&room]["timeline"]["events"][0]["event_id"], event);
        let (waiting, user_id) = (wait(&desk).await, UserId::parse(&desk.user_id).unwrap());
        let device_id = desk.device_id.as_str().into();
        world.state.sessions.soft_logout(&user_id, device_id).await.unwrap();
        let ended = waiting.await.unwrap();
        ended.is(401, "M_UNKNOWN_TOKEN");
        assert_eq!(ended.body["soft_logout"], true);
    })
    .await;
}

#[tokio::test]
async fn whoever_refreshes_her_token_waits_on() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let login = json!({
            "type": "m.login.password", "user": "alice", "password": PASSWORD,
            "refresh_token": true,
        });
        let session = alice.post("login", &login).await.ok();
        let waiting = wait(&alice.of(&session)).await;
        let refresh = json!({ "refresh_token": session["refresh_token"] });
        let renewed = alice.of(&alice.post("refresh", &refresh).await.ok());
        renewed.get("account/whoami").await.ok();
        alice.of(&session).get("account/whoami").await.is(401, "M_UNKNOWN_TOKEN");
        let event = alice.say(&room, "hello").await;
        let answer = waiting.await.unwrap().ok();
        assert_eq!(answer["rooms"]["join"][&room]["timeline"]["events"][0]["event_id"], event);
    })
    .await;
}

#[tokio::test]
async fn wrong_questions() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        for query in [
            "since=nonsense",
            "since=s1_99999999_0_0",
            "filter=%7B",
            "filter=none",
            "timeout=-1",
            "timeout=soon",
            "full_state=perhaps",
            "set_presence=dancing",
        ] {
            let reply = alice.get(&format!("sync?{query}")).await;
            assert_eq!(reply.status, 400, "{query}: {}", reply.body);
            assert_eq!(reply.body["errcode"], "M_INVALID_PARAM", "{query}");
        }
        world.anonymous().get("sync").await.is(401, "M_MISSING_TOKEN");
    })
    .await;
}

#[tokio::test]
async fn state_after_under_both_names() {
    each_world(async |world: World| {
        let alice = world.register("alice").await;
        let room = alice.create_public().await;
        let sections = async |query: &str| -> Vec<String> {
            let answer: Value = alice.get(&format!("sync{query}")).await.ok();
            let joined = answer["rooms"]["join"][&room].as_object().unwrap().clone();
            joined.keys().filter(|key| key.contains("state")).cloned().collect()
        };
        assert_eq!(sections("?use_state_after=true").await, ["state_after"]);
        let unstable = "org.matrix.msc4222.state_after";
        let query = "?org.matrix.msc4222.use_state_after=true";
        assert_eq!(sections(query).await, [unstable]);
    })
    .await;
}
