//! Filters: ids, sameness, validation.

use serde_json::json;
use store::testing::for_each_engine;

use super::*;
use crate::testing::World;

#[tokio::test]
async fn filters_are_stored_once_per_user() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let (alice, bob) = (world.someone("alice").await, world.someone("bob").await);
        let filter = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let create = |user: &Requester, text: &str| {
            let (filters, user, filter) = (world.filters.clone(), user.clone(), filter(text));
            async move { filters.create(&user, filter).await }
        };
        let text = r#"{"room": {"timeline": {"limit": 7}}, "org.example.x": 1}"#;
        let id = create(&alice.requester, text).await.unwrap();
        let turned = r#"{"org.example.x": 1, "room": {"timeline": {"limit": 7}}}"#;
        assert_eq!(create(&alice.requester, turned).await.unwrap(), id);
        let other = create(&alice.requester, "{}").await.unwrap();
        assert_ne!(other, id);
        assert_eq!(create(&bob.requester, "{}").await.unwrap(), id);

        let world = world.restarted().await;
        let json = world.filters.find_json(&alice.requester, &id).await.unwrap().unwrap();
        let again = world.filters.find_json(&alice.requester, &id).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&json, &again), "the second time it comes from memory");
        let value: Value = serde_json::from_str(json.get()).unwrap();
        assert_eq!(value, json!({"room": {"timeline": {"limit": 7}}, "org.example.x": 1}));
        for unknown in ["3", "-1", "x", ""] {
            assert!(world.filters.find_json(&alice.requester, unknown).await.unwrap().is_none());
        }
        assert!(world.filters.find_json(&bob.requester, &other).await.unwrap().is_none());
    })
    .await;
}

#[test]
fn nonsense_is_no_filter() {
    for text in [
        "[]",
        "1",
        r#"{"room": 1}"#,
        r#"{"room": {"timeline": {"limit": "x"}}}"#,
        r#"{"presence": {"senders": ["no user"]}}"#,
        r#"{"room": {"rooms": ["no room"]}}"#,
        r#"{"event_format": "other"}"#,
    ] {
        assert!(matches!(Filters::parse(text), Err(Error::BadJson(_))), "{text}");
    }
    let fields = |count: usize| json!({ "event_fields": vec!["type"; count] }).to_string();
    assert!(Filters::parse(&fields(100)).is_ok());
    assert!(matches!(Filters::parse(&fields(101)), Err(Error::BadJson(_))));
    let large = format!(r#"{{"event_fields": ["{}"]}}"#, "x".repeat(70_000));
    assert!(matches!(Filters::parse(&large), Err(Error::TooLarge(_))));
}
