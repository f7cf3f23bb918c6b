//! Opening: what is refused, and what a second node meets.

use super::table;
use crate::{
    OpenError, Settings, Store,
    testing::{Directory, for_each_database, make_newer},
};

#[tokio::test]
async fn a_second_node_is_refused() {
    for_each_database(|database| async move {
        let store = database.open().await;
        table::create(&store).await;
        let Err(error) = Store::open(database.settings()).await else { panic!("it was let in") };
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert!(error.to_string().contains("process"), "{error}");
        // The first one does not notice.
        store.write(|txn| table::insert(txn, 1, "x")).await.unwrap();
        store.close().await;
        let store = database.open().await;
        assert_eq!(table::numbers(&store).await, [1]);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    for_each_database(|database| async move {
        make_newer(database.settings()).await;
        let Err(error) = Store::open(database.settings()).await else { panic!("it was opened") };
        let OpenError::NewerSchema { found, known } = error else { panic!("{error}") };
        assert_eq!((found, known), (known + 1000, crate::schema::known()));
        let text = error.to_string();
        assert!(text.contains(&found.to_string()) && text.contains(&known.to_string()), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_one_clear_line() {
    let directory = Directory::new("absent");
    let place = directory.path().display();
    let addresses = [
        format!("sqlite://{place}/no/such/directory/test.db"),
        format!("postgresql://postgres@/test?host={place}"),
        "postgresql://postgres@127.0.0.1:1/test".to_owned(),
        "mysql://localhost/test".to_owned(),
        "sqlite://".to_owned(),
        "postgresql://user:secret@localhost:1/test?sslmode=disable".to_owned(),
    ];
    for address in addresses {
        let Err(error) = Store::open(Settings::new(&address)).await else { panic!("{address}") };
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert!(matches!(error, OpenError::Connect { .. } | OpenError::Url(_)), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = Directory::new("garbage");
    let path = directory.path().join("test.db");
    std::fs::write(&path, "this is certainly no database, but text of some length\n".repeat(100))
        .unwrap();
    let settings = Settings::new(format!("sqlite://{}", path.display()));
    let Err(error) = Store::open(settings).await else { panic!("it was opened") };
    assert!(error.to_string().contains("not a database"), "{error}");
}
