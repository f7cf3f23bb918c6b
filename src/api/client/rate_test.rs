//! Tests of the token buckets against a clock of their own.

use super::*;

const RATE: Rate = Rate { per_second: 2.0, burst: 3 };

fn user(number: i64) -> Subject {
    Subject::User(UserNumber(number))
}

#[tokio::test]
async fn a_burst_passes_and_then_one_by_one() {
    let mut table = Table::default();
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(table.ask(user(1), RATE, start, Ask::Take(1)), Ok(()));
    }
    assert_eq!(table.ask(user(1), RATE, start, Ask::Take(1)), Err(Duration::from_millis(500)));
    let later = start + Duration::from_millis(500);
    assert_eq!(table.ask(user(1), RATE, later, Ask::Take(1)), Ok(()));
    assert_eq!(table.ask(user(1), RATE, later, Ask::Take(1)), Err(Duration::from_millis(500)));
    let much_later = start + Duration::from_mins(1);
    for _ in 0..3 {
        assert_eq!(table.ask(user(1), RATE, much_later, Ask::Take(1)), Ok(()));
    }
    assert!(table.ask(user(1), RATE, much_later, Ask::Take(1)).is_err());
}

#[tokio::test]
async fn many_are_taken_together_or_not_at_all() {
    let mut table = Table::default();
    let now = Instant::now();
    assert_eq!(table.ask(user(1), RATE, now, Ask::Take(2)), Ok(()));
    let wait = table.ask(user(1), RATE, now, Ask::Take(2));
    assert_eq!(wait, Err(Duration::from_millis(500)));
    assert_eq!(table.ask(user(1), RATE, now, Ask::Take(1)), Ok(()));
}

#[tokio::test]
async fn looking_takes_nothing_and_others_do_not_count() {
    let mut table = Table::default();
    let now = Instant::now();
    for _ in 0..10 {
        assert_eq!(table.ask(user(1), RATE, now, Ask::Look), Ok(()));
    }
    for _ in 0..3 {
        assert_eq!(table.ask(user(1), RATE, now, Ask::Take(1)), Ok(()));
    }
    assert!(table.ask(user(1), RATE, now, Ask::Look).is_err());
    assert_eq!(table.ask(user(2), RATE, now, Ask::Take(1)), Ok(()));
}

#[tokio::test]
async fn a_table_is_bounded_and_swept() {
    let mut table = Table::default();
    let start = Instant::now();
    for number in 0..i64::try_from(BUCKETS_MAX + 10).unwrap() {
        let _ = table.ask(user(number), RATE, start, Ask::Take(1));
    }
    // The ten who found no place share a bucket of three.
    assert_eq!(table.full_at.len(), BUCKETS_MAX + 1);
    assert!(table.ask(user(-1), RATE, start, Ask::Take(1)).is_err());
    assert_eq!(table.ask(user(0), RATE, start, Ask::Take(1)), Ok(()));
    let later = start + Duration::from_secs(5);
    assert_eq!(table.ask(user(-1), RATE, later, Ask::Take(1)), Ok(()));
    assert_eq!(table.full_at.len(), 1);
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let mut settings = crate::Settings::default();
    settings.rate_limits.registration = Rate { per_second: 0.1, burst: 1 };
    let handle = SettingsHandle::new(std::sync::Arc::new(settings.clone()).into());
    let limiter = Limiter::new(std::sync::Arc::clone(&handle));
    let anybody = || Subject::address([192, 0, 2, 1].into());
    assert_eq!(limiter.take(Kind::Registration, anybody()), Ok(()));
    assert!(limiter.take(Kind::Registration, anybody()).is_err());
    assert_eq!(limiter.take(Kind::LoginAddress, anybody()), Ok(()));
    settings.rate_limits.enabled = false;
    handle.store(settings.into());
    assert_eq!(limiter.take(Kind::Registration, anybody()), Ok(()));
}

#[test]
fn addresses_of_one_network_are_one() {
    let subject = |text: &str| Subject::address(text.parse().unwrap());
    assert_eq!(subject("2001:db8::1"), subject("2001:db8::ffff:1"));
    assert_ne!(subject("2001:db8::1"), subject("2001:db8:0:1::1"));
    assert_ne!(subject("192.0.2.1"), subject("192.0.2.2"));
}
