//! Opening the database: a step of the schema may take longer than the service manager waits for a
//! start, so it is told that the start goes on, and with what.

use std::time::Duration;

use store::{OpenError, Pulse, Settings, Step, Store};
use tokio::time::{Instant, interval};

use crate::{message, notify};

/// How often the service manager is told that a step goes on, and how long that holds.
const TELL_INTERVAL: Duration = Duration::from_secs(10);
const EXTENSION: Duration = Duration::from_mins(1);
/// What takes longer goes on no more, as far as the service manager is concerned.
const STEP_TIME_MAX: Duration = Duration::from_hours(6);

/// Opens the store.
pub(crate) async fn open(settings: Settings, pulse: Pulse) -> Result<Store, OpenError> {
    let mut step = pulse.step();
    notify::status("opening the database");
    let opening = Store::open_watched(settings, pulse);
    tokio::pin!(opening);
    let mut tell = interval(TELL_INTERVAL);
    let mut since = Instant::now();
    let store = loop {
        tokio::select! {
            store = &mut opening => break store,
            Ok(()) = step.changed() => {
                since = Instant::now();
                tell.reset();
            }
            _ = tell.tick() => {}
        }
        if let Some(step) = *step.borrow()
            && !step.is_done
            && since.elapsed() < STEP_TIME_MAX
        {
            notify::extend(EXTENSION, &status(step, since.elapsed()));
        }
    }?;
    if let Some(Step { from, version, .. }) = *step.borrow() {
        tracing::info!(
            MESSAGE_ID = message::SCHEMA_STEP,
            FROM = from,
            TO = version,
            "the database's schema was brought from version {from} to version {version}"
        );
    }
    Ok(store)
}

fn status(step: Step, elapsed: Duration) -> String {
    let Step { version, last, .. } = step;
    let seconds = elapsed.as_secs();
    format!("bringing the database's schema to version {version} of {last}, for {seconds} s now")
}
