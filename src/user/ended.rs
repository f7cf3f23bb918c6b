//! Sessions that end while a request of theirs waits.
//!
//! Invariant: whoever waits registers before she looks whether her token is still good, and is rung
//! for after the commit that ended it, when the cache knows already. So no end is missed, and
//! nothing that happens after it is told to a device that is logged out.
//!
//! A refresh ends the old pair of tokens, too, but rings for nobody: the device is the same, and
//! what it waits for is its own.
//!
//! Spec: client-server API, "Client authentication".

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Error, Requester, Sessions};

/// The devices whose requests wait. There is one entry for each, however many requests it has: the
/// server bounds these.
#[derive(Default)]
pub(crate) struct Waiting {
    devices: Mutex<HashMap<i64, Device>>,
}

#[derive(Default)]
struct Device {
    bell: Arc<Notify>,
    requests: usize,
}

impl Waiting {
    /// Wakes the requests of a device.
    pub(crate) fn ring(&self, device: i64) {
        if let Some(waiting) = self.devices.lock().get(&device) {
            waiting.bell.notify_waiters();
        }
    }

    fn enter(&self, device: i64) -> Waiter<'_> {
        let mut devices = self.devices.lock();
        let waiting = devices.entry(device).or_default();
        waiting.requests += 1;
        Waiter { waiting: self, device, bell: Arc::clone(&waiting.bell) }
    }
}

/// One request of a device.
struct Waiter<'a> {
    waiting: &'a Waiting,
    device: i64,
    bell: Arc<Notify>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.waiting.devices.lock().entry(self.device) {
            entry.get_mut().requests -= 1;
            if entry.get().requests == 0 {
                entry.remove();
            }
        }
    }
}

impl Sessions {
    /// Completes once the requester's session has ended, with the error that her next request would
    /// get.
    pub async fn ended(&self, requester: &Requester) -> Error {
        let waiter = self.inner.waiting.enter(requester.device());
        loop {
            let mut bell = std::pin::pin!(waiter.bell.notified());
            bell.as_mut().enable();
            // In a box, as it is needed for a moment only and a thousand wait here.
            if let Err(error @ Error::UnknownToken { .. }) =
                Box::pin(self.check(requester.token())).await
            {
                return error;
            }
            bell.await;
        }
    }
}
