//! The service manager's watchdog: it is told that the process lives, as long as it does.
//!
//! ```text
//! each half of WatchdogSec: runtime runs this ─▶ the writer is asked ─ answers ─────▶ WATCHDOG=1
//!                                                     └ silent ─ gives signs of life ─▲
//!                                                                └ none ─▶ nothing is sent
//! ```
//!
//! Invariant: a database that is away, locked or full never ends the process, for no restart brings
//! it back: the writer answers with an error, or gives signs of life while it waits (see
//! [`store::Pulse`]). A writer that does neither hangs in this process. So does a runtime whose
//! threads are all blocked, on which this does not run.

use std::time::Duration;

use store::{Error, Pulse, Store};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{message, notify};

/// Feeds the watchdog, if the service manager has one.
pub(crate) async fn feed(store: Store, pulse: Pulse) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let half = period / 2;
    let mut look = interval(half);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hangs = false;
    loop {
        look.tick().await;
        let moves = moves(&store, &pulse, half).await;
        if moves {
            notify::alive();
        } else if !hangs {
            tracing::error!(
                MESSAGE_ID = message::WRITER_HANGS,
                seconds = pulse.age().as_secs(),
                "the writer of the database hangs; the service manager's watchdog will end this \
                 process"
            );
        }
        hangs = !moves;
    }
}

/// Whether the writer moves. It has half of the time to answer; then its signs of life count.
async fn moves(store: &Store, pulse: &Pulse, half: Duration) -> bool {
    // Goes the way of every change, with one that changes nothing.
    let answer = store.write(|_| Ok::<_, Error>(()));
    // An error is an answer as well.
    timeout(half / 2, answer).await.is_ok() || pulse.age() < half
}
