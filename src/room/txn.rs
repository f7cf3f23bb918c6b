//! Clients' transaction ids: what an event was sent with, and which event a repeated one names.

use std::sync::Arc;

use moka::sync::Cache;
use ruma::{OwnedDeviceId, OwnedEventId, OwnedTransactionId, OwnedUserId, RoomId};
use store::room::{event::ClientTxn, txns::TxnHash};

/// How many recent ones are kept ready, so that a repetition costs no attempt at sending.
const RECENT_MAX: u64 = 20_000;

/// The recent transaction ids.
pub(crate) struct TxnCache(Cache<TxnHash, OwnedEventId>);

/// A transaction id as it is stored with its event.
#[derive(Clone, Debug)]
pub(crate) struct StagedTxn {
    pub(crate) hash: TxnHash,
    pub(crate) client: Arc<ClientTxn>,
}

impl TxnCache {
    pub(crate) fn new() -> Self {
        Self(Cache::new(RECENT_MAX))
    }

    pub(crate) fn get(&self, hash: &TxnHash) -> Option<OwnedEventId> {
        self.0.get(hash)
    }

    /// Keeps a committed one ready.
    pub(crate) fn keep(&self, hash: TxnHash, event: OwnedEventId) {
        self.0.insert(hash, event);
    }
}

/// A client's idempotency key: one device, one endpoint, one transaction id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnKey {
    /// The user.
    pub user: OwnedUserId,
    /// The device.
    pub device: OwnedDeviceId,
    /// The endpoint: the path between room and transaction id, decoded (`send/m.room.message`,
    /// `redact/$event`).
    pub endpoint: String,
    /// The client's transaction id.
    pub txn_id: OwnedTransactionId,
}

impl TxnKey {
    /// As it is stored.
    pub(crate) fn stage(&self, room: &RoomId) -> StagedTxn {
        // The lengths keep the parts apart.
        let parts = [
            self.user.as_str(),
            self.device.as_str(),
            room.as_str(),
            &self.endpoint,
            self.txn_id.as_str(),
        ];
        let mut text = String::new();
        for part in parts {
            text.push_str(&part.len().to_string());
            text.push(':');
            text.push_str(part);
        }
        let client =
            ClientTxn { device: self.device.as_str().into(), txn_id: self.txn_id.as_str().into() };
        StagedTxn { hash: short_hash(text.as_bytes()), client: Arc::new(client) }
    }
}

/// The first half of a SHA-256: enough that nobody finds two that are the same.
fn short_hash(bytes: &[u8]) -> TxnHash {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut hash = TxnHash::default();
    for (byte, from) in hash.iter_mut().zip(digest.as_ref()) {
        *byte = *from;
    }
    hash
}
