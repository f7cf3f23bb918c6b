//! Warns of certificates that expire soon: at the start, at each reload, daily, and once it has
//! happened.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Tls;

use crate::{message, system::SystemClock};

/// How long before its end a certificate is warned of.
const WARNING: Duration = Duration::from_hours(14 * 24);
const LOOK_INTERVAL: Duration = Duration::from_hours(24);
/// How long after its end a certificate is looked at, so that it has surely come.
const AFTERWARDS: Duration = Duration::from_secs(1);
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Looks daily, and whenever one of them ends.
pub(crate) async fn watch(certificates: Vec<Arc<Tls>>) {
    while !certificates.is_empty() {
        look(&certificates);
        let ends = certificates.iter().filter_map(|tls| tls.expires());
        tokio::time::sleep(pause(ends, SystemClock::now())).await;
    }
}

/// How long nothing has to be told.
fn pause(ends: impl Iterator<Item = SystemTime>, now: SystemTime) -> Duration {
    let next = ends.filter_map(|end| end.duration_since(now).ok()).min();
    next.map_or(LOOK_INTERVAL, |left| left.saturating_add(AFTERWARDS).min(LOOK_INTERVAL))
}

/// Says in the log which of those in force expire soon, or have expired.
pub(crate) fn look(certificates: &[Arc<Tls>]) {
    let now = SystemClock::now();
    for tls in certificates {
        let file = tls.file();
        let path = file.display();
        match tls.expires().and_then(|expires| days_left(expires, now)) {
            Some(Left::Days(days)) => tracing::warn!(
                MESSAGE_ID = message::CERTIFICATE_EXPIRES,
                CERTIFICATE = %path,
                DAYS = days,
                "the certificate {path} expires in {days} days"
            ),
            Some(Left::Nothing) => tracing::error!(
                MESSAGE_ID = message::CERTIFICATE_EXPIRED,
                CERTIFICATE = %path,
                "the certificate {path} is in use and has expired"
            ),
            None => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Left {
    Days(u64),
    Nothing,
}

/// What is left, if it is so little that somebody must know.
fn days_left(expires: SystemTime, now: SystemTime) -> Option<Left> {
    match expires.duration_since(now) {
        Ok(left) if left > WARNING => None,
        Ok(left) => Some(Left::Days(left.as_secs() / SECONDS_PER_DAY)),
        Err(_) => Some(Left::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weeks_before_the_end_is_soon() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 1000);
        let in_days = |days: u64| now + Duration::from_hours(24 * days);
        assert_eq!(days_left(in_days(15), now), None);
        assert_eq!(days_left(in_days(14), now), Some(Left::Days(14)));
        assert_eq!(days_left(in_days(0), now), Some(Left::Days(0)));
        assert_eq!(days_left(now - Duration::from_secs(1), now), Some(Left::Nothing));
    }

    #[test]
    fn an_end_is_told_when_it_comes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 1000);
        let hours = |hours: u64| Duration::from_hours(hours);
        let ends = [now - hours(1), now + hours(30), now + hours(2)];
        assert_eq!(pause(ends.into_iter(), now), hours(2) + AFTERWARDS);
        assert_eq!(pause([ends[0], ends[1]].into_iter(), now), LOOK_INTERVAL);
        assert_eq!(pause([].into_iter(), now), LOOK_INTERVAL);
    }
}
