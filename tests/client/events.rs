//! "Sending events to a room", "Getting events for a room": what was acknowledged stays.

use serde_json::{Value, json};

use super::{V3, chat, say, setups, text};

fn bodies(page: &Value) -> Vec<String> {
    let chunk = page["chunk"].as_array().expect("a chunk").iter();
    let messages = chunk.filter(|event| event["type"] == "m.room.message");
    messages.map(|event| text(&event["content"]["body"])).collect()
}

#[tokio::test]
async fn a_transaction_id_works_once_across_a_kill() {
    for setup in setups() {
        let (mut server, alice, bob, room) = chat(setup).await;
        let event = say(&alice, &room, "before").await;
        server.restart().await;
        assert_eq!(say(&alice, &room, "before").await, event);
        say(&bob, &room, "after").await;
        let page = alice.get(&format!("{V3}/rooms/{room}/messages?dir=f&limit=100")).await.ok();
        assert_eq!(bodies(&page), ["before", "after"]);
    }
}

#[tokio::test]
async fn sessions_and_account_data_outlive_a_kill() {
    for setup in setups() {
        let (mut server, alice, _, room) = chat(setup).await;
        let data = format!("{V3}/user/{}/account_data/org.example.x", alice.user_id);
        alice.put(&data, &json!({ "a": 1 })).await.ok();
        let tag = format!("{V3}/user/{}/rooms/{room}/tags/u.tea", alice.user_id);
        alice.put(&tag, &json!({})).await.ok();
        server.restart().await;
        assert_eq!(alice.get(&data).await.ok(), json!({ "a": 1 }));
        let whoami = alice.get(&format!("{V3}/account/whoami")).await.ok();
        assert_eq!(whoami["device_id"], alice.device_id);
        let tags = alice.get(&tag.replace("/u.tea", "")).await.ok();
        assert_eq!(tags["tags"], json!({ "u.tea": {} }));
    }
}
