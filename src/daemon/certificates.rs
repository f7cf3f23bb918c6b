//! Warns of certificates that expire soon: at the start, at each reload, and daily.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Tls;

use crate::{message, system::SystemClock};

/// How long before its end a certificate is warned of.
const WARNING: Duration = Duration::from_hours(14 * 24);
const LOOK_INTERVAL: Duration = Duration::from_hours(24);
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Looks daily.
pub(crate) async fn watch(certificates: Vec<Arc<Tls>>) {
    while !certificates.is_empty() {
        look(&certificates);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
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
}
