//! How often a change waits for the database server.

use proto::number::{EventNumber, Position, RoomNumber, StateGroup, StateKeyNumber};

use super::proxy::Proxy;
use crate::{
    Error, Settings, Store, WriteTxn,
    room::{
        changes::{self, StateChange},
        event::ClientTxn,
        rooms::{self, RoomRow},
        txns,
    },
    testing::Cluster,
};

const ROOM: RoomNumber = RoomNumber(1);

fn row(revision: u64) -> RoomRow {
    RoomRow {
        number: ROOM,
        version: "11".to_owned(),
        revision,
        group: StateGroup(1),
        depth: 1,
        tips: Vec::new(),
        position: Position(revision),
    }
}

/// What sending a state event under a new key writes, but for the event itself, which is a row like
/// the others.
fn send(txn: &mut WriteTxn<'_>, revision: u64) -> Result<(), Error> {
    let event = EventNumber(revision.cast_signed());
    let client = ClientTxn { device: "PHONE".into(), txn_id: "1".into() };
    let mut hash = txns::TxnHash::default();
    hash[..8].copy_from_slice(&revision.to_le_bytes());
    txns::insert(txn, event, hash, &client)?;
    let number = StateKeyNumber(100_000 + revision.cast_signed());
    let numbers = &txn.shared.numbers;
    let pair = ("org.example.seat", revision.to_string());
    let promise = numbers.promise_state_key((pair.0, &pair.1), number);
    txn.keep(&promise.map_err(|_| Error::corrupt("it is new"))?)?;
    let position = txn.next_position();
    let (key, old, new, group) = (number, None, Some(event), StateGroup(1));
    changes::insert(txn, &StateChange { position, room: ROOM, key, old, new, group })?;
    rooms::update(txn, &row(revision), revision - 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_waits_for_the_server_once() {
    let cluster = Cluster::shared();
    let proxy = Proxy::start(cluster.socket());
    let store = Store::open(Settings::new(proxy.url(&cluster.create_database()))).await.unwrap();
    store.write(|txn| rooms::insert(txn, &row(0))).await.unwrap();
    // The first time prepares the statement.
    store.write(|txn| send(txn, 1)).await.unwrap();
    for revision in 2..6 {
        let before = proxy.trips();
        store.write(move |txn| send(txn, revision)).await.unwrap();
        assert_eq!(proxy.trips() - before, 1);
    }
    let found = store.read(|snapshot| rooms::find(snapshot, ROOM)).await.unwrap().unwrap();
    assert_eq!(found.revision, 5);
    store.close().await;
}

/// The end of a read is not waited for, but it is sent: a session that sat in a transaction would
/// keep the server from clearing away what nobody sees any more.
#[tokio::test]
async fn a_read_leaves_no_transaction_open() {
    let cluster = Cluster::shared();
    let url = cluster.create_database();
    let (base, _) = url.split_once("?host=").unwrap();
    let database = base.rsplit_once('/').unwrap().1;
    let store = Store::open(Settings::new(url.clone())).await.unwrap();
    store.read(|snapshot| rooms::find(snapshot, ROOM)).await.unwrap();
    let sitting = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = '{database}' AND state LIKE 'idle in %'"
    );
    let mut looks = 0;
    while cluster.run_sql(&sitting).trim() != "0" {
        looks += 1;
        assert!(looks < 50, "a transaction stays open");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    store.close().await;
}
