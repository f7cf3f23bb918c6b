//! "Syncing": waiting clients, and tokens that outlive the process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::harness::Setup;

use super::{V3, chat, say, setups, text};

/// Everything but what others do without a word.
const QUIET: &str = "set_presence=offline&filter=%7B%22presence%22%3A%7B%22types%22%3A%5B%5D%7D%7D";

fn events(answer: &Value, room: &str) -> Vec<String> {
    let events = answer["rooms"]["join"][room]["timeline"]["events"].as_array();
    let events = events.map(Vec::as_slice).unwrap_or_default().iter();
    events.map(|event| text(&event["event_id"])).collect()
}

#[tokio::test]
async fn a_token_goes_on_after_a_kill() {
    for setup in setups() {
        let (mut server, alice, bob, room) = chat(setup).await;
        let first = bob.get(&format!("{V3}/sync?{QUIET}")).await.ok();
        let since = text(&first["next_batch"]);
        let one = say(&alice, &room, "one").await;
        server.restart().await;
        let two = say(&alice, &room, "two").await;
        let next = bob.get(&format!("{V3}/sync?{QUIET}&since={since}")).await.ok();
        assert_eq!(events(&next, &room), [one.clone(), two.clone()]);
        // The answer was lost: the same comes again.
        let again = bob.get(&format!("{V3}/sync?{QUIET}&since={since}")).await.ok();
        assert_eq!(events(&again, &room), [one, two]);
    }
}

#[tokio::test]
async fn a_message_wakes_those_who_wait() {
    for setup in setups() {
        let (_server, alice, bob, room) = chat(setup).await;
        let first = bob.get(&format!("{V3}/sync?{QUIET}")).await.ok();
        let path = format!("{V3}/sync?{QUIET}&timeout=60000&since={}", text(&first["next_batch"]));
        let waiting = tokio::spawn(async move { bob.get(&path).await.ok() });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let event = say(&alice, &room, "wake-up").await;
        assert_eq!(events(&waiting.await.expect("an answer"), &room), [event]);
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_wait() {
    let (mut server, _, bob, _) = chat(Setup::default()).await;
    let first = bob.get(&format!("{V3}/sync?{QUIET}")).await.ok();
    let since = text(&first["next_batch"]);
    let path = format!("{V3}/sync?{QUIET}&timeout=60000&since={since}");
    let waiting = tokio::spawn(async move { bob.get(&path).await.ok() });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    assert!(server.stop().await.success());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(waiting.await.expect("an answer"), json!({ "next_batch": since }));
}
