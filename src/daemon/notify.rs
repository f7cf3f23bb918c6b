//! What the service manager is told: `sd_notify(3)`. Without one all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Whether there is somebody to tell.
pub(crate) fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The server answers requests.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What the server is busy with.
pub(crate) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The server stops, and may take this long.
pub(crate) fn stopping(time: Duration) {
    let status = NotifyState::Status("answering the last requests");
    send(&[NotifyState::Stopping, extension(time), status]);
}

/// The configuration is read again; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
    }
}

/// The start or the stop may take this long from now on, whatever the unit says.
pub(crate) fn extend(time: Duration, status: &str) {
    send(&[extension(time), NotifyState::Status(status)]);
}

fn extension<'a>(time: Duration) -> NotifyState<'a> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
}

/// The process lives.
pub(crate) fn alive() {
    send(&[NotifyState::Watchdog]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}
