//! Numbers that are promised before the change that gives them.

use std::sync::Arc;

use parking_lot::Mutex;
use proto::number::{StateKeyNumber, UserNumber};
use ruma::user_id;

use super::group::hold;
use crate::{
    Error, Store, WriteTxn,
    numbers::Promise,
    testing::{count_groups, for_each_database, for_each_engine},
};

const PAIR: (&str, &str) = ("org.example.seat", "7");

fn promise(store: &Store, number: i64) -> Promise {
    store.numbers().promise_state_key(PAIR, StateKeyNumber(number)).unwrap()
}

fn cached(store: &Store) -> Option<StateKeyNumber> {
    store.numbers().cached_state_key(PAIR.0, PAIR.1)
}

async fn stored(store: &Store) -> Option<StateKeyNumber> {
    store.read(|snapshot| snapshot.find_state_key(PAIR.0, PAIR.1)).await.unwrap()
}

fn keep(txn: &mut WriteTxn<'_>, promise: &Promise) -> Result<(), Error> {
    txn.keep(promise)?;
    assert_eq!(txn.find_state_key(PAIR.0, PAIR.1)?, Some(StateKeyNumber(promise.number())));
    Ok(())
}

#[tokio::test]
async fn a_promised_number_is_given_by_the_change_that_keeps_it() {
    for_each_engine(|store| async move {
        let groups = count_groups(&store).await;
        let promised = promise(&store, 5000);
        assert_eq!(promise(&store, 5001).number(), 5000, "it is promised once");
        assert_eq!((cached(&store), stored(&store).await), (None, None));
        let (held, inside) = (promised.clone(), store.clone());
        let work = move |txn: &mut WriteTxn<'_>| {
            keep(txn, &held)?;
            assert_eq!(cached(&inside), None, "nothing is cached before the commit");
            Ok::<_, Error>(())
        };
        store.write(work).await.unwrap();
        assert_eq!(cached(&store), Some(StateKeyNumber(5000)));
        assert_eq!(count_groups(&store).await, groups + 1);
        // Whoever was promised it too has nothing left to write.
        store.write(move |txn| txn.keep(&promised)).await.unwrap();
        assert_eq!(count_groups(&store).await, groups + 1);
        assert!(store.numbers().find_state_key_promise(PAIR.0, PAIR.1).is_none());
    })
    .await;
}

#[tokio::test]
async fn a_change_that_fails_gives_no_number_and_the_next_one_gives_it() {
    for_each_engine(|store| async move {
        let promised = promise(&store, 5000);
        let (release, _held) = hold(&store).await;
        let failing = |promised: Promise| {
            move |txn: &mut WriteTxn<'_>| {
                keep(txn, &promised)?;
                Err::<(), _>(Error::corrupt("on purpose"))
            }
        };
        let first = store.enqueue(failing(promised.clone())).await.unwrap();
        let unrelated = store.enqueue(|txn| txn.intern_state_key("other", "")).await.unwrap();
        drop(release);
        assert!(first.await.is_err());
        unrelated.await.unwrap();
        assert_eq!((cached(&store), stored(&store).await), (None, None));
        let (release, _held) = hold(&store).await;
        let first = store.enqueue(failing(promised.clone())).await.unwrap();
        let again = promised.clone();
        let second = store.enqueue(move |txn| keep(txn, &again)).await.unwrap();
        let third = store.enqueue(failing(promised.clone())).await.unwrap();
        let fourth = store.enqueue(move |txn| keep(txn, &promised)).await.unwrap();
        drop(release);
        assert!(first.await.is_err());
        second.await.unwrap();
        assert!(third.await.is_err());
        fourth.await.unwrap();
        assert_eq!(cached(&store), Some(StateKeyNumber(5000)));
        assert_eq!(stored(&store).await, Some(StateKeyNumber(5000)));
    })
    .await;
}

#[tokio::test]
async fn whoever_gives_a_number_gives_the_promised_one() {
    for_each_engine(|store| async move {
        let alice = user_id!("@alice:example.org");
        let promised = store.numbers().promise_user(alice, UserNumber(70)).unwrap();
        let given = store.write(move |txn| txn.intern_user(alice)).await.unwrap();
        assert_eq!(given, UserNumber(70));
        store.write(move |txn| txn.keep(&promised)).await.unwrap();
        let known = store.numbers().promise_user(alice, UserNumber(71)).map(|late| late.number());
        assert_eq!(known, Err(UserNumber(70)));
    })
    .await;
}

/// Where a promise is put.
type Slot = Arc<Mutex<Option<Promise>>>;

/// Gives the pair a number, and promises another one before anybody can know.
fn give_and_promise(
    store: Store,
    slot: Slot,
) -> impl Fn(&mut WriteTxn<'_>) -> Result<StateKeyNumber, Error> {
    move |txn: &mut WriteTxn<'_>| {
        let number = txn.intern_state_key(PAIR.0, PAIR.1)?;
        *slot.lock() = Some(promise(&store, 9000));
        Ok(number)
    }
}

#[tokio::test]
async fn a_promise_that_comes_too_late_fails_its_change_alone() {
    for cached_numbers in [0, 1000] {
        for_each_database(|database| async move {
            let mut settings = database.settings();
            // Where nothing is kept ready, the database itself must refuse.
            settings.cached_numbers = cached_numbers;
            let store = Store::open(settings).await.unwrap();
            let late = Slot::default();
            let work = give_and_promise(store.clone(), Arc::clone(&late));
            let given = store.write(work).await.unwrap();
            assert!(store.numbers().find_state_key_promise(PAIR.0, PAIR.1).is_none());
            let late = late.lock().take().unwrap();
            let (release, _held) = hold(&store).await;
            let refused = store.enqueue(move |txn| txn.keep(&late)).await.unwrap();
            let other = store.enqueue(|txn| txn.intern_state_key("other", "")).await.unwrap();
            drop(release);
            let outcome = refused.await;
            assert!(matches!(outcome, Err(Error::Exists(_))), "{outcome:?}");
            other.await.unwrap();
            assert_eq!(stored(&store).await, Some(given));
            store.close().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_promise_that_comes_too_late_for_its_own_group_fails_its_change_alone() {
    for_each_engine(|store| async move {
        let late = Slot::default();
        let work = give_and_promise(store.clone(), Arc::clone(&late));
        let (release, _held) = hold(&store).await;
        let given = store.enqueue(work).await.unwrap();
        let refused = move |txn: &mut WriteTxn<'_>| {
            let late = late.lock().clone().unwrap();
            txn.keep(&late)
        };
        let refused = store.enqueue(refused).await.unwrap();
        drop(release);
        let given = given.await.unwrap();
        assert!(matches!(refused.await, Err(Error::Exists(_))));
        assert_eq!((cached(&store), stored(&store).await), (Some(given), Some(given)));
    })
    .await;
}

/// What a store finds when it is opened is not new, however long ago it was written; what comes
/// with a change that fails stays new.
#[tokio::test]
async fn a_pair_is_new_until_its_change_is_committed() {
    for_each_database(|database| async move {
        let is_new = |store: &Store| store.numbers().is_new_state_key(PAIR.0, PAIR.1);
        let store = database.open().await;
        assert!(is_new(&store) && !store.numbers().is_new_state_key("m.room.name", ""));
        let failed = store.write(|txn| {
            txn.intern_state_key(PAIR.0, PAIR.1)?;
            Err::<(), _>(Error::corrupt("on purpose"))
        });
        failed.await.unwrap_err();
        assert!(is_new(&store));
        store.write(|txn| txn.intern_state_key(PAIR.0, PAIR.1)).await.unwrap();
        assert!(!is_new(&store));
        store.close().await;
        let store = database.open().await;
        assert!(!is_new(&store) && store.numbers().is_new_state_key(PAIR.0, "8"));
        store.close().await;
    })
    .await;
}
