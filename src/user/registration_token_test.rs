//! Registration tokens: grammar, limits, expiry.

use store::testing::for_each_engine;

use super::*;
use crate::testing::{START_MS, World};

#[tokio::test]
async fn tokens_come_and_go() {
    for_each_engine(|store| async move {
        let tokens = World::new(store).await.registration_tokens;
        let made = tokens.create(Some("my.token~1".to_owned()), Some(2), None).await.unwrap();
        assert_eq!(tokens.find("my.token~1").await.unwrap(), Some(made.clone()));
        let twice = tokens.create(Some("my.token~1".to_owned()), None, None).await;
        assert!(matches!(twice, Err(Error::InvalidParam(_))));
        assert_eq!(tokens.create(None, None, None).await.unwrap().token.len(), 16);
        assert_eq!(tokens.list(None).await.unwrap().len(), 2);

        let changed = tokens.update("my.token~1", Some(Some(0)), None).await.unwrap();
        assert_eq!(changed.uses_allowed, Some(0));
        assert!(!tokens.is_valid("my.token~1").await.unwrap());
        assert_eq!(tokens.list(Some(false)).await.unwrap(), [changed]);
        assert_eq!(tokens.list(Some(true)).await.unwrap().len(), 1);
        tokens.update("my.token~1", Some(None), None).await.unwrap();
        assert!(tokens.is_valid("my.token~1").await.unwrap());

        tokens.remove("my.token~1").await.unwrap();
        assert!(matches!(tokens.remove("my.token~1").await, Err(Error::NotFound(_))));
        let missing = tokens.update("my.token~1", None, None).await;
        assert!(matches!(missing, Err(Error::NotFound(_))));
        assert!(!tokens.is_valid("my.token~1").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn tokens_expire() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let tokens = &world.registration_tokens;
        let soon = Some(START_MS + 1000);
        let token = tokens.create(None, None, soon).await.unwrap().token;
        assert!(tokens.is_valid(&token).await.unwrap());
        world.clock.advance(1000);
        assert!(!tokens.is_valid(&token).await.unwrap());
        assert!(tokens.reserve(&token).await.unwrap().is_none());
        let past = tokens.create(None, None, soon.map(|ts| ts - 1)).await;
        assert!(matches!(past, Err(Error::InvalidParam(_))));
    })
    .await;
}

#[test]
fn the_grammar_is_the_specs() {
    for good in ["a", "A-Z.0_9~", &"x".repeat(64)] {
        assert!(check_grammar(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
        assert!(check_grammar(bad).is_err(), "{bad}");
    }
}
