//! Places in the auth chain index that are kept ready.

use std::sync::Arc;

use moka::sync::Cache;
use proto::number::EventNumber;

use crate::reach::Reach;

/// The cache. What stands in the index never changes, so what is here is true for ever.
pub(crate) struct ReachCache(Cache<EventNumber, Arc<Reach>>);

impl ReachCache {
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |_: &EventNumber, reach: &Arc<Reach>| reach.weight();
        Self(Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }

    pub(crate) fn get(&self, event: EventNumber) -> Option<Arc<Reach>> {
        self.0.get(&event)
    }

    pub(crate) fn keep(&self, reach: &Arc<Reach>) {
        self.0.insert(reach.event(), Arc::clone(reach));
    }
}
