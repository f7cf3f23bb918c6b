//! Clients' transaction ids: what an event was sent with, and which event a repeated one names.

use std::sync::Arc;

use moka::sync::Cache;
use ruma::{OwnedEventId, RoomId};
use store::room::{
    event::ClientTxn,
    txns::{self, TxnHash},
};

use crate::{RoomError, Rooms, TxnKey};

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

impl Rooms {
    /// The event that was sent with this key before.
    pub async fn find_txn(
        &self,
        room_id: &RoomId,
        txn: &TxnKey,
    ) -> Result<Option<OwnedEventId>, RoomError> {
        self.inner.find_txn(txn.stage(room_id).hash).await
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

impl crate::rooms::Inner {
    pub(crate) async fn find_txn(&self, hash: TxnHash) -> Result<Option<OwnedEventId>, RoomError> {
        if let Some(event) = self.txns.get(&hash) {
            return Ok(Some(event));
        }
        Ok(self.setup.store.read(move |snapshot| txns::find(snapshot, hash)).await?)
    }
}
