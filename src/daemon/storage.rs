//! Says when there is no room left for the database, and when there is some again.

use store::Pulse;

use crate::{message, status::Status};

/// Watches until the store is gone.
pub(crate) async fn watch(pulse: Pulse, status: Status) {
    let mut full = pulse.full();
    while full.changed().await.is_ok() {
        let is_full = *full.borrow_and_update();
        if is_full {
            tracing::error!(
                MESSAGE_ID = message::STORAGE_FULL,
                "there is no room left for the database; clients get errors for what they write"
            );
        } else {
            tracing::info!(
                MESSAGE_ID = message::STORAGE_RECOVERED,
                "there is room for the database again"
            );
        }
        status.tell_full(is_full);
    }
}
