//! Which members a device knows already, so that lazy loading does not send them again
//! (client-server API, "Lazy-loading room members").
//!
//! Invariant: what counts as known was in an answer that led to the very token the client now
//! shows. An answer that got lost therefore makes nobody known, and an old token used again brings
//! the members again. Forgetting is harmless: the member is sent once more.

use imbl::HashMap;
use moka::{policy::EvictionPolicy, sync::Cache};
use proto::number::{EventNumber, RoomNumber, StateKeyNumber, UserNumber};
use ruma::OwnedDeviceId;

use crate::token::SyncToken;

/// Bytes that all devices' knowledge may take. Maps share their structure, so this counts more than
/// there is.
const CACHE_BYTES_MAX: u64 = 8 << 20;
/// What one known member counts.
const MEMBER_BYTES: usize = 48;
/// Members of one device; one that knows more starts anew.
const MEMBERS_MAX: usize = 10_000;

/// The member events that a client has: by room and member, the newest that it was sent.
pub(crate) type Known = HashMap<(RoomNumber, StateKeyNumber), EventNumber>;

/// What devices know, by the token that they were given along with it.
pub(crate) struct KnownMembers {
    cache: Cache<Holder, Known>,
}

/// A device that holds a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// Whose device.
    pub(crate) user: UserNumber,
    /// The device.
    pub(crate) device_id: OwnedDeviceId,
    /// The token.
    pub(crate) token: SyncToken,
}

impl KnownMembers {
    pub(crate) fn new() -> Self {
        let weigh = |_: &Holder, known: &Known| {
            u32::try_from((known.len() + 4) * MEMBER_BYTES).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(CACHE_BYTES_MAX)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(weigh)
            .build();
        Self { cache }
    }

    /// What the holder of this token knows.
    pub(crate) fn known(&self, holder: &Holder) -> Known {
        self.cache.get(holder).unwrap_or_default()
    }

    /// Notes what somebody knows who got the answer with this token.
    pub(crate) fn remember(&self, holder: Holder, known: Known) {
        if known.len() > MEMBERS_MAX {
            return;
        }
        let _ = self.cache.entry(holder).and_upsert_with(|present| match present {
            // Two answers led to the same token: only what both said is sure.
            Some(present) => {
                let present = present.into_value();
                if present.ptr_eq(&known) { present } else { common(&present, &known) }
            }
            None => known,
        });
    }
}

/// What is in both.
fn common(one: &Known, other: &Known) -> Known {
    one.iter()
        .filter(|(member, event)| other.get(*member) == Some(*event))
        .map(|(member, event)| (*member, *event))
        .collect()
}

#[cfg(test)]
#[path = "lazy_test.rs"]
mod tests;
