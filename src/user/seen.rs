//! When and where devices were last seen, gathered in memory and written in batches: a request
//! never writes.
//!
//! Invariant: at most [`MAX_PENDING`] devices wait for their write; what comes on top of that is
//! forgotten.

use std::collections::HashMap;

use parking_lot::Mutex;
use store::{
    Store,
    user::device::{self, LastSeen},
};

use crate::{Error, Seen};

/// Devices that wait for their write.
const MAX_PENDING: usize = 10_000;

/// Rows in one change, so that a batch does not hold up the writer.
const MAX_ROWS: usize = 200;

/// The longest `User-Agent` that is kept, in bytes.
const MAX_AGENT_BYTES: usize = 256;

/// Devices that were seen, by their numbers.
#[derive(Default)]
pub(crate) struct SeenDevices {
    pending: Mutex<HashMap<i64, LastSeen>>,
}

/// What is kept of where a request came from.
pub(crate) fn last_seen(seen: &Seen, now_ms: u64) -> LastSeen {
    let agent = seen.user_agent.as_deref().map(|agent| {
        let end = agent.floor_char_boundary(MAX_AGENT_BYTES);
        agent[..end].to_owned()
    });
    LastSeen { ts: now_ms, ip: seen.address.map(|address| address.to_string()), agent }
}

impl SeenDevices {
    /// Notes that a device was seen.
    pub(crate) fn note(&self, device: i64, seen: &Seen, now_ms: u64) {
        let mut pending = self.pending.lock();
        if pending.len() < MAX_PENDING || pending.contains_key(&device) {
            pending.insert(device, last_seen(seen, now_ms));
        }
    }

    /// What is not written yet of a device.
    pub(crate) fn pending(&self, device: i64) -> Option<LastSeen> {
        self.pending.lock().get(&device).cloned()
    }

    /// Writes what waits.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), Error> {
        let rows: Vec<_> = std::mem::take(&mut *self.pending.lock()).into_iter().collect();
        for chunk in rows.chunks(MAX_ROWS) {
            let chunk = chunk.to_vec();
            store
                .write(move |txn| {
                    for (device, seen) in &chunk {
                        device::set_seen(txn, *device, seen)?;
                    }
                    Ok::<_, Error>(())
                })
                .await?;
        }
        Ok(())
    }
}
