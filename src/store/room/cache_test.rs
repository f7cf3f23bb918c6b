//! One body per event, and no reader of the past can undo a commit.

use std::sync::Arc;

use proto::{
    clock::{Random, random_string},
    draft::{Draft, Placement, Signer},
    number::{EventNumber, RoomNumber},
    pdu::Pdu,
    rules::Rules,
    signing::SigningKey,
};
use ruma::{room_id, server_name, user_id};

use super::EventCache;
use crate::{
    room::event::{Body, Event, Outcome},
    testing::SeededRandom,
};

fn pdu(text: &str) -> Arc<Pdu> {
    let random = SeededRandom::new(1);
    let key = SigningKey::generate(&random as &dyn Random);
    let draft = Draft {
        sender: user_id!("@alice:example.org").to_owned(),
        event_type: "m.room.message".into(),
        state_key: None,
        content: serde_json::value::to_raw_value(&serde_json::json!({ "body": text })).unwrap(),
        redacts: None,
    };
    let placement = Placement {
        room_id: Some(room_id!("!room:example.org").to_owned()),
        origin_server_ts: 1,
        depth: 1,
        prev_events: Vec::new(),
        auth_events: Vec::new(),
        event_id_localpart: Some(random_string(&random, 18)),
    };
    let signer = Signer { server: server_name!("example.org"), key: &key };
    let signed = draft.complete(&placement, signer, Rules::of("11").unwrap()).unwrap();
    signed.into_own().into_pdu()
}

fn event(number: i64, pdu: &Arc<Pdu>) -> Event {
    Event {
        room: RoomNumber(1),
        outcome: Outcome::Accepted,
        key: None,
        group: None,
        place: None,
        replaces: None,
        body: Arc::new(Body::new(EventNumber(number), Arc::clone(pdu))),
    }
}

#[test]
fn whoever_loads_an_event_that_somebody_holds_gets_its_body() {
    let cache = EventCache::new(1_000_000);
    let said = pdu("hello");
    let held = cache.insert_loaded(event(1, &said));
    let again = cache.insert_loaded(event(1, &said));
    assert!(Arc::ptr_eq(&held.body, &again.body));
}

#[test]
fn a_redaction_reaches_every_holder() {
    let cache = EventCache::new(1_000_000);
    let said = pdu("a secret");
    let held = cache.insert_loaded(event(1, &said));
    let because = Arc::new(Body::new(EventNumber(2), pdu("why")));
    cache.redact(EventNumber(1), Arc::new(said.redacted()), because);
    assert!(held.body.is_redacted());
    assert!(!held.pdu().content().contains("secret"));
    assert!(!held.body.client_body().contains("secret"));
}

#[test]
fn an_old_snapshot_cannot_bring_back_what_was_redacted() {
    let cache = EventCache::new(1_000_000);
    let said = pdu("a secret");
    let because = Arc::new(Body::new(EventNumber(2), pdu("why")));
    cache.redact(EventNumber(1), Arc::new(said.redacted()), because);
    let late = cache.insert_loaded(event(1, &said));
    assert!(!late.body.is_redacted(), "its reader began before the redaction");
    assert!(cache.get(EventNumber(1)).is_none(), "but nobody else gets it");
}
