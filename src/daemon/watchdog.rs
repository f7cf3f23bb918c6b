//! The service manager's watchdog: it is told that the process lives, as long as it does.
//!
//! ```text
//! each half of WatchdogSec: runtime runs this
//!   ─▶ the writer is asked ─ answers, or gives signs of life ─┬─▶ WATCHDOG=1
//!   ─▶ the lanes are asked ─ answer ──────────────────────────┘
//!           └ silent ─▶ nothing is sent
//! ```
//!
//! Invariant: a database that is away, locked or full never ends the process, for no restart brings
//! it back: the writer answers with an error, or gives signs of life while it waits (see
//! [`store::Pulse`]). A writer that does neither hangs in this process. So does a lane, a thread of
//! connections, that finds no time for a new task, and a runtime whose threads are all blocked, on
//! which this does not run.

use std::time::Duration;

use http::Lanes;
use store::{Error, Pulse, Store};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{message, notify};

/// Feeds the watchdog, if the service manager has one.
pub(crate) async fn feed(store: Store, pulse: Pulse, lanes: Lanes) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let half = period / 2;
    let mut look = interval(half);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        look.tick().await;
        let hanging = find_hanging((&store, &pulse), &lanes, half).await;
        match hanging {
            None => notify::alive(),
            Some(part) if told != hanging => part.tell(&pulse),
            Some(_) => {}
        }
        told = hanging;
    }
}

/// What may hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Writer,
    Lane,
}

impl Part {
    fn tell(self, pulse: &Pulse) {
        match self {
            Self::Writer => tracing::error!(
                MESSAGE_ID = message::WRITER_HANGS,
                seconds = pulse.age().as_secs(),
                "the writer of the database hangs; the service manager's watchdog will end this \
                 process"
            ),
            Self::Lane => tracing::error!(
                MESSAGE_ID = message::LANE_HANGS,
                "a thread of connections hangs; the service manager's watchdog will end this \
                 process"
            ),
        }
    }
}

/// The part that hangs, if one does: each has half of the time to answer, and the writer's signs of
/// life count as well.
async fn find_hanging(
    (store, pulse): (&Store, &Pulse),
    lanes: &Lanes,
    half: Duration,
) -> Option<Part> {
    // Goes the way of every change, with one that changes nothing.
    let answer = store.write(|_| Ok::<_, Error>(()));
    let (answer, lanes) = (timeout(half / 2, answer), timeout(half / 2, lanes.answer()));
    let (answer, lanes) = tokio::join!(answer, lanes);
    // An error is an answer as well.
    if answer.is_err() && pulse.age() >= half {
        return Some(Part::Writer);
    }
    lanes.is_err().then_some(Part::Lane)
}
