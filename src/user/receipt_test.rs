//! Receipts move forward, threads are looked into, private ones stay private.

use ruma::{event_id, room_id};
use store::{Change, Position, Store, testing::for_each_engine};

use super::*;
use crate::testing::{Someone, World};

fn the_room() -> &'static RoomId {
    room_id!("!r:example.org")
}

fn first() -> &'static EventId {
    event_id!("$first")
}

fn second() -> &'static EventId {
    event_id!("$second")
}

fn third() -> &'static EventId {
    event_id!("$third")
}

async fn room(store: Store) -> (World, RoomNumber, Someone, Someone) {
    let world = World::new(store).await;
    let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
    let room = world.room(the_room()).await;
    for user in [&alice, &bob] {
        world.rooms.join(&user.requester, room);
    }
    for (order, id) in [first(), second(), third()].into_iter().enumerate() {
        world.rooms.event(id, room, i64::try_from(order).unwrap());
    }
    (world, room, alice, bob)
}

async fn read(
    world: &World,
    user: &Someone,
    kind: ReceiptType,
    (thread, event): (ReceiptThread, &EventId),
) -> Result<(), Error> {
    let receipt = NewReceipt { kind, thread, event_id: event.to_owned() };
    world.receipts.set(&user.requester, the_room(), receipt).await
}

async fn seen(world: &World, reader: &Someone, room: RoomNumber) -> Vec<ReceiptChange> {
    let (user, store) = (reader.requester.user(), &world.context.store);
    let upto = store.position();
    store
        .read(move |snapshot| rows::list_changed(snapshot, user, &[room], Position(0), upto))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_receipt_only_moves_forward() {
    for_each_engine(|store| async move {
        let (world, room, alice, bob) = room(store.clone()).await;
        let unthreaded = ReceiptThread::Unthreaded;
        let before = store.position();
        read(&world, &alice, ReceiptType::Read, (unthreaded.clone(), second())).await.unwrap();
        assert!(store.position() > before);
        let moved = store.position();
        for event in [second(), first()] {
            let place = (unthreaded.clone(), event);
            read(&world, &alice, ReceiptType::Read, place).await.unwrap();
        }
        assert_eq!(store.position(), moved);
        read(&world, &alice, ReceiptType::Read, (unthreaded, third())).await.unwrap();
        let receipts = seen(&world, &bob, room).await;
        assert_eq!(receipts.len(), 1);
        assert_eq!(receipts[0].event_id, third());
        assert_eq!(receipts[0].user_id, alice.user_id);
        assert_eq!(receipts[0].thread, None);
        let records = store.log().since(before).unwrap();
        let told = records.iter().filter_map(|record| match &record.change {
            Change::Receipt(receipt) => Some(receipt.event_id.as_str()),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), ["$second", "$third"]);
    })
    .await;
}

#[tokio::test]
async fn private_receipts_are_for_their_owner() {
    for_each_engine(|store| async move {
        let (world, room, alice, bob) = room(store).await;
        let place = (ReceiptThread::Unthreaded, first());
        read(&world, &alice, ReceiptType::ReadPrivate, place).await.unwrap();
        assert!(seen(&world, &bob, room).await.is_empty());
        let own = seen(&world, &alice, room).await;
        assert_eq!((own.len(), own[0].kind), (1, ReceiptKind::Private));
    })
    .await;
}

#[tokio::test]
async fn threads_have_receipts_of_their_own() {
    for_each_engine(|store| async move {
        let (world, room, alice, _) = room(store).await;
        // A reaction to an answer in the thread of the first event.
        world.rooms.relate(second(), "m.thread", first());
        world.rooms.relate(third(), "m.annotation", second());
        let thread = |root: &EventId| ReceiptThread::Thread(root.to_owned());
        let kind = || ReceiptType::Read;
        for (name, event) in [
            (thread(first()), second()),
            (thread(first()), third()),
            (ReceiptThread::Main, first()),
            (ReceiptThread::Unthreaded, second()),
        ] {
            read(&world, &alice, kind(), (name, event)).await.unwrap();
        }
        for (name, event) in [
            (ReceiptThread::Main, second()),
            (ReceiptThread::Main, third()),
            (thread(second()), third()),
            (thread(second()), first()),
        ] {
            let answer = read(&world, &alice, kind(), (name.clone(), event)).await;
            assert!(matches!(answer, Err(Error::InvalidParam(_))), "{name:?} {event}");
        }
        let mut found: Vec<_> = seen(&world, &alice, room)
            .await
            .into_iter()
            .map(|receipt| (receipt.thread.unwrap_or_default().to_string(), receipt.event_id))
            .collect();
        found.sort();
        let expected = [("", second()), ("$first", third()), ("main", first())]
            .map(|(thread, event)| (thread.to_owned(), event.to_owned()));
        assert_eq!(found, expected);
    })
    .await;
}

#[tokio::test]
async fn strange_rooms_and_kinds_are_refused() {
    for_each_engine(|store| async move {
        let (world, _, alice, _) = room(store).await;
        let carol = world.someone("carol").await;
        let first = (ReceiptThread::Unthreaded, first());
        let refused = read(&world, &carol, ReceiptType::Read, first.clone()).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))));
        let refused = read(&world, &alice, ReceiptType::from("m.other"), first).await;
        assert!(matches!(refused, Err(Error::InvalidParam(_))));
    })
    .await;
}

#[tokio::test]
async fn strange_events_change_nothing_and_are_no_error() {
    for_each_engine(|store| async move {
        let (world, room, alice, _) = room(store.clone()).await;
        let (unknown, elsewhere) = (event_id!("$unknown"), event_id!("$elsewhere"));
        world.rooms.event(elsewhere, RoomNumber(room.0 + 1), 1);
        let before = store.position();
        for event in [unknown, elsewhere] {
            for thread in [
                ReceiptThread::Unthreaded,
                ReceiptThread::Main,
                ReceiptThread::Thread(first().to_owned()),
            ] {
                read(&world, &alice, ReceiptType::Read, (thread, event)).await.unwrap();
            }
            world.receipts.set_fully_read(&alice.requester, the_room(), event).await.unwrap();
        }
        assert_eq!(store.position(), before);
        // What is named besides is set.
        let markers = ReadMarkers {
            fully_read: Some(second().to_owned()),
            read: Some(unknown.to_owned()),
            private_read: Some(elsewhere.to_owned()),
        };
        world.receipts.set_markers(&alice.requester, the_room(), markers).await.unwrap();
        assert!(seen(&world, &alice, room).await.is_empty());
        let data = world.account_data.find(&alice.requester, Some(the_room()), FULLY_READ);
        assert_eq!(data.await.unwrap().unwrap().get(), r#"{"event_id":"$second"}"#);
    })
    .await;
}

#[tokio::test]
async fn markers_are_set_together() {
    for_each_engine(|store| async move {
        let (world, room, alice, _) = room(store.clone()).await;
        let markers = ReadMarkers {
            fully_read: Some(second().to_owned()),
            read: Some(third().to_owned()),
            private_read: Some(first().to_owned()),
        };
        world.receipts.set_markers(&alice.requester, the_room(), markers).await.unwrap();
        assert_eq!(seen(&world, &alice, room).await.len(), 2);
        let marker = async |world: &World| {
            let data = &world.account_data;
            data.find(&alice.requester, Some(the_room()), FULLY_READ).await.unwrap().unwrap()
        };
        assert_eq!(marker(&world).await.get(), r#"{"event_id":"$second"}"#);
        let before = store.position();
        world.receipts.set_fully_read(&alice.requester, the_room(), first()).await.unwrap();
        assert_eq!(store.position(), before);
        world.receipts.set_fully_read(&alice.requester, the_room(), third()).await.unwrap();
        assert_eq!(marker(&world).await.get(), r#"{"event_id":"$third"}"#);
    })
    .await;
}

#[tokio::test]
async fn devices_that_move_the_marker_at_once_move_it_forward() {
    for_each_engine(|store| async move {
        let (world, _, alice, _) = room(store).await;
        let set = |event| world.receipts.set_fully_read(&alice.requester, the_room(), event);
        // All look before the first of them writes.
        let (one, two, three) = tokio::join!(set(third()), set(first()), set(second()));
        for moved in [one, two, three] {
            moved.unwrap();
        }
        let found = world.account_data.find(&alice.requester, Some(the_room()), FULLY_READ);
        let content = found.await.unwrap().unwrap();
        assert_eq!(marker(content.get()).unwrap(), third());
    })
    .await;
}
