//! Tests of the verdicts: which connection is idle, slow or stuck, by the marks alone.

use super::*;

/// Header 10 s, idle 100 s, write 50 s.
fn limits() -> Limits {
    Limits {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(100),
        write_timeout: Duration::from_secs(50),
        ..Limits::default()
    }
}

fn after(activity: &Activity, seconds: u64) -> Verdict {
    activity.verdict_at(&limits(), activity.now() + seconds * 1000)
}

#[test]
fn the_first_request_has_the_header_time() {
    let activity = Activity::new();
    assert_eq!(after(&activity, 9), Verdict::Fine);
    assert_eq!(after(&activity, 11), Verdict::SlowHead);
}

#[test]
fn a_request_in_flight_is_never_too_slow() {
    let activity = Activity::new();
    let _guard = activity.begin(Version::HTTP_11, false);
    activity.saw_input();
    assert_eq!(after(&activity, 100_000), Verdict::Fine);
}

#[test]
fn after_a_request_the_connection_may_be_idle_for_its_time() {
    let activity = Activity::new();
    drop(activity.begin(Version::HTTP_11, false));
    assert_eq!(after(&activity, 99), Verdict::Fine);
    assert_eq!(after(&activity, 101), Verdict::Idle);
}

#[test]
fn a_head_that_has_begun_must_end() {
    let activity = Activity::new();
    drop(activity.begin(Version::HTTP_11, false));
    activity.saw_input();
    assert_eq!(after(&activity, 9), Verdict::Fine);
    assert_eq!(after(&activity, 11), Verdict::SlowHead);
    drop(activity.begin(Version::HTTP_11, false));
    assert_eq!(after(&activity, 11), Verdict::Fine);
}

#[test]
fn http2_frames_between_requests_are_no_head() {
    let activity = Activity::new();
    drop(activity.begin(Version::HTTP_2, false));
    activity.saw_input();
    assert_eq!(after(&activity, 99), Verdict::Fine);
    assert_eq!(after(&activity, 101), Verdict::Idle);
}

#[test]
fn over_http2_a_piece_that_no_stream_takes_is_blocked_output() {
    let activity = Activity::new();
    let mut stuck = activity.begin(Version::HTTP_2, false);
    let mut other = activity.begin(Version::HTTP_2, false);
    assert_eq!(after(&activity, 100_000), Verdict::Fine, "an answer may take its time");
    stuck.hand_out();
    assert_eq!(after(&activity, 49), Verdict::Fine);
    assert_eq!(after(&activity, 51), Verdict::Blocked);
    // Further ones are no reason to wait longer, nor are resets; each one that is taken is.
    let begun = || activity.untaken_since.load(Relaxed);
    activity.untaken_since.store(0, Relaxed);
    other.hand_out();
    drop(other);
    assert_eq!(begun(), 0);
    let mut third = activity.begin(Version::HTTP_2, false);
    third.hand_out();
    third.saw_taken();
    assert_ne!(begun(), 0);
    drop((third, stuck));
    assert_eq!(after(&activity, 51), Verdict::Fine);
}

#[test]
fn several_requests_are_in_flight_until_the_last_ends() {
    let activity = Activity::new();
    let first = activity.begin(Version::HTTP_2, false);
    let second = activity.begin(Version::HTTP_2, false);
    drop(first);
    assert_eq!(after(&activity, 1000), Verdict::Fine);
    drop(second);
    assert_eq!(after(&activity, 1000), Verdict::Idle);
}

#[test]
fn blocked_output_is_limited_even_in_flight() {
    let activity = Activity::new();
    let _guard = activity.begin(Version::HTTP_11, false);
    activity.saw_output(None);
    activity.saw_output(None);
    assert_eq!(after(&activity, 49), Verdict::Fine);
    assert_eq!(after(&activity, 51), Verdict::Blocked);
    activity.saw_output(Some(1));
    assert_eq!(after(&activity, 51), Verdict::Fine);
}

#[test]
fn input_is_left_unread_only_after_a_body_or_in_a_head() {
    let activity = Activity::new();
    assert!(activity.has_unread_input(), "a first head may be on its way");
    drop(activity.begin(Version::HTTP_11, true));
    assert!(activity.has_unread_input());
    drop(activity.begin(Version::HTTP_11, false));
    assert!(!activity.has_unread_input());
    activity.saw_input();
    assert!(activity.has_unread_input());
}
