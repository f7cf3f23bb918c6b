//! Order, bounds and the end.

use std::{sync::Arc, time::Duration};

use super::{Found, Queue};

const SOON: Duration = Duration::from_millis(20);

fn take<T>(queue: &Queue<T>, most: usize) -> Vec<T> {
    match queue.take(most, SOON) {
        Found::Items(items) => items,
        Found::Nothing | Found::End => Vec::new(),
    }
}

#[tokio::test]
async fn items_come_in_order_and_as_many_as_wanted() {
    let queue = Queue::new(10);
    for item in 0..5 {
        queue.push(item).await.unwrap();
    }
    assert_eq!(take(&queue, 3), [0, 1, 2]);
    assert_eq!(take(&queue, 3), [3, 4]);
    assert!(matches!(queue.take(3, SOON), Found::Nothing));
}

#[tokio::test]
async fn a_full_queue_makes_its_callers_wait() {
    let queue = Arc::new(Queue::new(2));
    queue.push(1).await.unwrap();
    queue.push(2).await.unwrap();
    assert!(tokio::time::timeout(SOON, queue.push(3)).await.is_err());
    // Whoever gave up waiting has left nothing behind.
    assert_eq!(take(&queue, 9), [1, 2]);
    queue.push(4).await.unwrap();
    assert_eq!(take(&queue, 9), [4]);
}

#[tokio::test]
async fn a_closed_queue_is_worked_off() {
    let queue = Arc::new(Queue::new(1));
    queue.push(1).await.unwrap();
    let late = Arc::clone(&queue);
    let late = tokio::spawn(async move { late.push(2).await });
    tokio::time::sleep(SOON).await;
    queue.close();
    assert!(late.await.unwrap().is_err());
    assert!(queue.push(3).await.is_err());
    assert_eq!(take(&queue, 9), [1]);
    assert!(matches!(queue.take(9, SOON), Found::End));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_waits_is_woken() {
    let queue = Arc::new(Queue::new(8));
    let taker = Arc::clone(&queue);
    let taking = std::thread::spawn(move || {
        let mut found = Vec::new();
        while let Found::Items(items) = taker.take(3, Duration::from_mins(1)) {
            found.extend(items);
        }
        found
    });
    for item in 0..1000 {
        queue.push(item).await.unwrap();
    }
    queue.close();
    assert_eq!(taking.join().unwrap(), (0..1000).collect::<Vec<_>>());
}
