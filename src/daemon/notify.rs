//! What the service manager is told: `sd_notify(3)`. Without one all of it does nothing.

use sd_notify::NotifyState;

/// The server answers requests.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What the server is busy with.
pub(crate) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The server stops.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("answering the last requests")]);
}

/// The configuration is read again; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
    }
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}
