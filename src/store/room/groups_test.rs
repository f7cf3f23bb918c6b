//! What is read of stored states, and what is kept of them.

use std::sync::Arc;

use proto::number::{EventNumber, StateGroup, StateKeyNumber};

use super::*;
use crate::{Store, room::chains, testing::for_each_engine};

/// Stores a root of some entries and a chain of children, each with one change; gives back the
/// number of the newest.
async fn store_chain(store: &Store, entries: i64, children: i64) -> StateGroup {
    store
        .write(move |txn| {
            let root = (1..=entries).map(|key| (key, key)).collect();
            let mut path = vec![Arc::new(Node::root(1, root))];
            insert(txn, &NewGroup { parent: None, node: Arc::clone(&path[0]) })?;
            for number in 2..=children + 1 {
                let parent = Some(StateGroup(number - 1));
                let node = Arc::new(Node::child(number, &path, vec![(1, number)]));
                path = Node::path_of(&node, &path);
                insert(txn, &NewGroup { parent, node })?;
            }
            Ok::<_, Error>(StateGroup(children + 1))
        })
        .await
        .unwrap()
}

async fn read_key(store: &Store, cache: &GroupCache, group: StateGroup, key: i64) -> i64 {
    let cache = cache.clone();
    let read = store.read(move |snapshot| cache.get(snapshot, group, StateKeyNumber(key)));
    read.await.unwrap().unwrap().0
}

/// The root may hold a member for each of many thousands; if it is at hand, nobody reads it again.
#[tokio::test]
async fn what_is_at_hand_is_not_read_again() {
    for_each_engine(|store| async move {
        let newest = store_chain(&store, 100, 21).await;
        let cache = GroupCache::new(1_000_000);
        assert_eq!(read_key(&store, &cache, StateGroup(1), 100).await, 100);
        let spoil = "UPDATE state_group SET delta = BYTES('') WHERE number = 1";
        store.write(move |txn| txn.execute(spoil, params![])).await.unwrap();
        assert_eq!(read_key(&store, &cache, newest, 100).await, 100);
        assert_eq!(read_key(&store, &cache, newest, 1).await, 22);
        let empty = GroupCache::new(1_000_000);
        let group = newest;
        let read = store.read(move |snapshot| empty.get(snapshot, group, StateKeyNumber(100)));
        assert_eq!(read.await.unwrap(), None, "the others read what is there");
    })
    .await;
}

#[tokio::test]
async fn a_group_without_its_root_is_told() {
    for_each_engine(|store| async move {
        let newest = store_chain(&store, 3, 6).await;
        let cut = "DELETE FROM state_group WHERE number = 1";
        store.write(move |txn| txn.execute(cut, params![])).await.unwrap();
        let cache = GroupCache::new(1_000_000);
        let read = store.read(move |snapshot| cache.map(snapshot, newest)).await;
        assert!(matches!(read, Err(Error::Corrupt(_))), "{read:?}");
    })
    .await;
}

#[tokio::test]
async fn an_index_that_is_at_hand_is_not_read_again() {
    for_each_engine(|store| async move {
        let link = |node: Node| chains::Link { chain: 1, sequence: node.number, node: node.into() };
        let root = link(Node::root(1, vec![(1, 1), (7, 7)]));
        let child = link(Node::child(2, &[Arc::clone(&root.node)], vec![(1, 2)]));
        let rows = [root, child];
        let write =
            move |txn: &mut WriteTxn<'_>| rows.iter().try_for_each(|row| chains::insert(txn, row));
        store.write(write).await.unwrap();
        let cache = chains::ChainCache::new(1_000_000);
        let path = |number: i64| {
            let cache = cache.clone();
            store.read(move |snapshot| cache.path(snapshot, EventNumber(number)))
        };
        assert_eq!(path(1).await.unwrap().len(), 1);
        let spoil = "UPDATE auth_chain SET delta = BYTES('') WHERE event = 1";
        store.write(move |txn| txn.execute(spoil, params![])).await.unwrap();
        let path = path(2).await.unwrap();
        assert_eq!((path.len(), levels::get(&path, 7)), (2, Some(7)));
    })
    .await;
}

/// Maps of different rooms share nothing, so it is their bytes that count, not their number.
#[tokio::test]
async fn large_maps_leave_room_for_few() {
    for_each_engine(|store| async move {
        let entries = 2_000;
        store
            .write(move |txn| {
                for number in 1..=20 {
                    let root = (1..=entries).map(|key| (key, key)).collect();
                    let node = Arc::new(Node::root(number, root));
                    insert(txn, &NewGroup { parent: None, node })?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let bytes = 1_000_000;
        let cache = GroupCache::new(bytes);
        let reading = cache.clone();
        let read = store.read(move |snapshot| {
            (1..=20).try_for_each(|number| {
                assert_eq!(reading.map(snapshot, StateGroup(number))?.len(), 2_000);
                Ok::<_, Error>(())
            })
        });
        read.await.unwrap();
        cache.maps.run_pending_tasks();
        let (kept, weight) = (cache.maps.entry_count(), cache.maps.weighted_size());
        assert!((1..=5).contains(&kept) && weight <= bytes / 2, "{kept} maps of {weight} bytes");
    })
    .await;
}
