//! The client-server API of the built server: what shows only over a network and across a restart.
//! What one request answers is tested in `src/api/client/tests`, without a network.

mod events;
mod limits;
mod nonsense;
mod restart;
mod syncing;
mod web;

use serde_json::{Value, json};
use tests::harness::{Server, Setup, TestUser};

const V3: &str = "/_matrix/client/v3";

/// Both databases.
fn setups() -> [Setup; 2] {
    [Setup::default(), Setup::postgresql()]
}

/// A text in an answer.
#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A new room with these users in it.
async fn room_of(creator: &TestUser, others: &[&TestUser]) -> String {
    let request = json!({ "preset": "public_chat" });
    let created = creator.post(&format!("{V3}/createRoom"), &request).await.ok();
    let room = text(&created["room_id"]);
    for other in others {
        other.post(&format!("{V3}/join/{room}"), &json!({})).await.ok();
    }
    room
}

/// Says something; the event's id.
async fn say(user: &TestUser, room: &str, txn: &str) -> String {
    let path = format!("{V3}/rooms/{room}/send/m.room.message/{txn}");
    let content = json!({ "msgtype": "m.text", "body": txn });
    text(&user.put(&path, &content).await.ok()["event_id"])
}

/// A server with two users in a room.
async fn chat(setup: Setup) -> (Server, TestUser, TestUser, String) {
    let server = Server::start(setup).await;
    let alice = server.register_user("alice").await;
    let bob = server.register_user("bob").await;
    let room = room_of(&alice, &[&bob]).await;
    (server, alice, bob, room)
}
