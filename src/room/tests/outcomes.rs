//! What becomes of single events: those that come in the wrong order, are not allowed, or are not
//! what they claim.

use std::sync::Arc;

use proto::rules::Rules;
use ruma::{OwnedRoomId, RoomId, UserId, api::client::room::create_room::v3::RoomPreset};
use serde_json::json;
use store::{Store, testing::Database};

use crate::{
    EventStats, Membership, Outcome, RoomError, Rooms,
    admit::Ready,
    create::CreateRoom,
    membership::OwnMembership,
    receive::{Received, parse},
    redact::RedactRequest,
    resident::raw_event,
    testing::network::{Network, Node},
    tests::world::{World, other, own, room_of},
};

/// Two servers on each engine in turn, with a public room of the first that the second's admin is
/// in too.
async fn each_pair<T: Future<Output = ()>>(test: impl Fn(Arc<Network>, OwnedRoomId) -> T) {
    for open in [Database::sqlite, Database::postgres] {
        let databases = [open(), open()];
        let mut stores: Vec<Store> = Vec::new();
        for database in &databases {
            stores.push(database.open().await);
        }
        let network = Network::new(stores.clone(), 1);
        let nodes = network.nodes();
        let alice = user(&nodes[0], "alice");
        let request = room_of(&alice, RoomPreset::PublicChat);
        let request = CreateRoom { version: Some(Rules::of("11").unwrap().version()), ..request };
        let room = nodes[0].rooms.create(request).await.unwrap();
        let via = vec![nodes[0].name.clone()];
        let request = OwnMembership { via, ..own(&user(&nodes[1], "bob"), &room) };
        nodes[1].rooms.join(request).await.unwrap();
        network.forget_parcels();
        test(Arc::clone(&network), room).await;
        for store in stores {
            store.close().await;
        }
    }
}

fn user(node: &Node, name: &str) -> ruma::OwnedUserId {
    UserId::parse(format!("@{name}:{}", node.name)).unwrap()
}

fn world(node: &Node) -> World {
    World { rooms: node.rooms.clone() }
}

impl Rooms {
    /// Takes an event whose previous events are missing as if its own server had told that the
    /// room's state did not change there.
    async fn admit_alone(&self, room: &RoomId, json: &str) -> Result<Received, RoomError> {
        let room = self.find(room).await?.unwrap();
        let signed = parse(&raw_event(json)?, room.id(), room.rules())?;
        let (pdu, _) = self.verify_all(vec![signed]).await?.pop().unwrap();
        let told = vec![room.view().state().clone()];
        self.admit(&room.0, &Ready { pdu, told, anew: false }).await
    }
}

#[tokio::test]
async fn a_redaction_before_its_target_redacts_it_when_it_comes() {
    each_pair(async |network, room| {
        let (a, b) = (&network.nodes()[0], &network.nodes()[1]);
        let alice = user(a, "alice");
        let said = world(a).say(&alice, &room, "a secret").await;
        let request = RedactRequest {
            sender: alice.clone(),
            is_admin: false,
            room_id: room.clone(),
            event_id: said.clone(),
            content: serde_json::Map::new(),
            txn: None,
        };
        let original = network.take_parcel(&said);
        let redaction = a.rooms.redact(request).await.unwrap().event_id;
        // The first server cannot be asked for what is missing, so that the redaction stands alone.
        let redaction = network.take_parcel(&redaction);
        let alone = b.rooms.admit_alone(&room, &redaction).await;
        assert_eq!(alone.unwrap().outcome, Outcome::Accepted);
        let pdu = raw_event(&original).unwrap();
        b.rooms.receive(&a.name, &room, &pdu).await.unwrap();
        let event = b.rooms.inner.find_event(&said).await.unwrap().unwrap();
        assert!(event.body.is_redacted());
        assert!(!event.pdu().content().contains("secret"));
    })
    .await;
}

#[tokio::test]
async fn an_event_from_before_a_ban_that_comes_after_it_is_soft_failed() {
    each_pair(async |network, room| {
        let (a, b) = (&network.nodes()[0], &network.nodes()[1]);
        let (alice, bob) = (user(a, "alice"), user(b, "bob"));
        world(a).rooms.ban(other(&alice, &bob, &room)).await.unwrap();
        // Bob's server does not know of the ban yet.
        let said = world(b).say(&bob, &room, "still here").await;
        let pdu = raw_event(&network.take_parcel(&said)).unwrap();
        let before = a.rooms.stats();
        let received = a.rooms.receive(&b.name, &room, &pdu).await.unwrap();
        assert_eq!(received.outcome, Outcome::SoftFailed);
        let page = world(a).page(&alice, &room, None).await.unwrap();
        assert!(page.events.iter().all(|seen| seen.event.event_id() != &*said));
        let again = a.rooms.receive(&b.name, &room, &pdu).await.unwrap();
        assert_eq!(again, received, "it is not looked at twice");
        let soft_failed = before.received.soft_failed + 1;
        let expected = EventStats { soft_failed, ..before.received };
        assert_eq!((a.rooms.stats().received, a.rooms.stats().own), (expected, before.own));
    })
    .await;
}

#[tokio::test]
async fn what_was_tampered_with_is_dropped_or_loses_its_content() {
    each_pair(async |network, room| {
        let (a, b) = (&network.nodes()[0], &network.nodes()[1]);
        let bob = user(b, "bob");
        let said = world(b).say(&bob, &room, "as it was").await;
        let parcel = network.take_parcel(&said);
        let forged = parcel.replace("@bob:b.org", "@eve:b.org");
        let refused = a.rooms.receive(&b.name, &room, &raw_event(&forged).unwrap()).await;
        assert!(matches!(refused, Err(RoomError::Dropped { .. })));
        let changed = raw_event(&parcel.replace("as it was", "as it is")).unwrap();
        let received = a.rooms.receive(&b.name, &room, &changed).await.unwrap();
        assert_eq!(received.event_id, said, "the content is no part of the id");
        let event = a.rooms.inner.find_event(&said).await.unwrap().unwrap();
        assert_eq!(event.pdu().content(), "{}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_comes_back_knows_what_happened_meanwhile() {
    each_pair(async |network, room| {
        let (a, b) = (&network.nodes()[0], &network.nodes()[1]);
        let (alice, bob) = (user(a, "alice"), user(b, "bob"));
        world(b).leave(&bob, &room).await.unwrap();
        network.deliver_parcels().await;
        assert_eq!(world(a).membership(&bob, &room).await, Membership::Leave);
        let name = json!({ "name": "meanwhile" });
        world(a).set_state(&alice, &room, "m.room.name", name).await.unwrap();
        network.forget_parcels();
        let via = vec![a.name.clone()];
        b.rooms.join(OwnMembership { via, ..own(&bob, &room) }).await.unwrap();
        let view = b.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(view.field(store::numbers::NAME, "name").as_deref(), Some("meanwhile"));
        assert_eq!(view.joined_count(), 2);
        world(b).say(&bob, &room, "I am back").await;
        network.deliver_parcels().await;
        let here = a.rooms.find(&room).await.unwrap().unwrap().view();
        assert_eq!(here.tips.len(), 1);
    })
    .await;
}
