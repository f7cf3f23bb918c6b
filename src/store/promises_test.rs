//! One living promise per name, and none that outlives its holders.

use std::sync::Arc;

use super::Promises;

#[test]
fn whoever_asks_while_a_promise_lives_gets_its_number() {
    let promises = Promises::new();
    let first = promises.make("topic", 7);
    let second = promises.make("topic", 8);
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(promises.find(&"topic"), Some(7));
    assert_eq!(promises.find(&"name"), None);
    drop(first);
    assert_eq!(promises.find(&"topic"), Some(7), "somebody still holds it");
    drop(second);
    assert_eq!(promises.find(&"topic"), None);
    assert!(promises.0.lock().is_empty(), "nothing is left of it");
    assert_eq!(promises.make("topic", 9).number, 9);
}

#[test]
fn a_promise_is_kept_by_its_own_number_only() {
    let promises = Promises::new();
    let kept = promises.make("topic", 7);
    promises.settle(&"topic", 7);
    assert!(kept.is_kept());
    assert_eq!(promises.find(&"topic"), Some(7));
    let broken = promises.make("name", 8);
    promises.settle(&"name", 5);
    assert!(!broken.is_kept());
    assert_eq!(promises.find(&"name"), None, "nobody else may rely on it");
    let next = promises.make("name", 9);
    drop(broken);
    assert_eq!(promises.find(&"name"), Some(9), "the end of an old one leaves the new one alone");
    drop(next);
}
