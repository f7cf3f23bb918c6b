//! A late fill does not bring an old value back.

use super::*;

#[test]
fn a_fill_without_a_change_between_counts() {
    let cache: Cache<&str, u32> = Cache::new(10_000, |_, _| 0);
    let ticket = cache.ticket();
    cache.fill(ticket, "a", 1);
    assert_eq!(cache.get("a"), Some(1));
}

#[test]
fn a_fill_from_before_a_change_is_thrown_away() {
    let cache: Cache<&str, u32> = Cache::new(10_000, |_, _| 0);
    let before_removal = cache.ticket();
    cache.forget("a");
    cache.fill(before_removal, "a", 1);
    assert_eq!(cache.get("a"), None);

    let before_change = cache.ticket();
    cache.set("a", 2);
    cache.fill(before_change, "a", 1);
    assert_eq!(cache.get("a"), Some(2));
}

#[test]
fn heavy_entries_make_room() {
    let cache: Cache<u32, usize> = Cache::new(10_000, |_, weight| *weight);
    for key in 0..100 {
        cache.set(key, 5000);
    }
    cache.entries.run_pending_tasks();
    assert!(cache.entries.entry_count() <= 1);
    cache.set(100, 20_000);
    cache.entries.run_pending_tasks();
    assert_eq!(cache.get(&100), None);
}
