//! Writing, reading, undoing, alone.

use proto::number::{Position, UserNumber};
use ruma::user_id;

use crate::{Change, Error, testing::for_each_engine};

#[tokio::test]
async fn a_change_is_there_once_it_is_answered() {
    for_each_engine(|store| async move {
        let number = store
            .write(|txn| {
                let user = txn.intern_user(user_id!("@alice:example.org"))?;
                txn.next_position();
                txn.record(Change::Profile { user });
                Ok::<_, Error>(user)
            })
            .await
            .unwrap();
        assert_eq!(number, UserNumber(1));
        assert_eq!(store.position(), Position(1));
        assert_eq!(store.log().since(Position(0)).unwrap().len(), 1);
        let found = store
            .read(move |snapshot| {
                assert_eq!(snapshot.position()?, Position(1));
                snapshot.load_user(number)
            })
            .await
            .unwrap();
        assert_eq!(found, user_id!("@alice:example.org"));
    })
    .await;
}
