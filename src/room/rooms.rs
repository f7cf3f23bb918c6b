//! The handle on all rooms: what it is made from, and how a room is found.
//!
//! Invariant: at most one [`Core`] of a room is alive, because its lock is the room's queue. The
//! registry knows the living ones; the cache keeps those that are in use, within its budget.

use std::{
    collections::HashMap,
    sync::{Arc, Weak, atomic::AtomicU64},
};

use moka::{policy::EvictionPolicy, sync::Cache};
use parking_lot::Mutex;
use proto::{
    clock::{SharedClock, SharedRandom},
    number::RoomNumber,
    signing::SigningKey,
};
use ruma::{OwnedServerName, RoomId, ServerName, UserId};
use store::{
    CacheStats, Store,
    room::{cache::EventCache, chains::ChainCache, groups::GroupCache},
};

use crate::{
    Policy, PushActions, Room, RoomError, SettingsHandle, coverage::CoverageCache, load::Loader,
    numbering::Numbering, peers::Peers, reach_cache::ReachCache, room::Core, stats::Meters,
    txn::TxnCache, users::UserCache,
};

/// How many rooms can be loaded at the same time.
const LOADING_STRIPES: usize = 64;
/// What part of the memory for states the auth chain index gets: one in so many.
const CHAINS_SHARE: u64 = 4;
/// The largest room counts as this part of the memory for rooms, even if it is larger: one that
/// could not be kept would be loaded again for each request.
const LARGEST_SHARE: u64 = 2;
/// How many dead entries the registry may have before they are swept out.
const SWEEP_MIN: usize = 256;

/// What [`Rooms`] is made from.
#[derive(Clone)]
pub struct Setup {
    /// The database.
    pub store: Store,
    /// This server's name.
    pub server_name: OwnedServerName,
    /// The key that signs this server's events.
    pub signing_key: Arc<SigningKey>,
    /// The wall clock.
    pub clock: SharedClock,
    /// Unpredictable bytes for identifiers.
    pub random: SharedRandom,
    /// What a reload of the configuration swaps.
    pub settings: SettingsHandle,
    /// This server's own rules.
    pub policy: Arc<dyn Policy>,
    /// The other servers; `None` while there is no federation.
    pub peers: Option<Arc<dyn Peers>>,
    /// The push rules; `None` while nothing counts.
    pub push: Option<Arc<dyn PushActions>>,
}

/// All rooms of this server. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    pub(crate) inner: Arc<Inner>,
}

/// What all handles share.
pub(crate) struct Inner {
    pub(crate) setup: Setup,
    pub(crate) numbering: Numbering,
    pub(crate) loader: Loader,
    pub(crate) chains: ChainCache,
    pub(crate) reaches: ReachCache,
    pub(crate) coverages: CoverageCache,
    pub(crate) users: UserCache,
    pub(crate) txns: TxnCache,
    pub(crate) meters: Meters,
    /// When the last room was created whose id is computed.
    pub(crate) last_creation_ms: AtomicU64,
    registry: Mutex<Registry>,
    kept: Cache<RoomNumber, Arc<Core>>,
    loading: Stripes,
    joining: Stripes,
    upgrading: Stripes,
}

/// Locks of rooms: some rooms share one.
type Stripes = Vec<tokio::sync::Mutex<()>>;

fn stripes() -> Stripes {
    (0..LOADING_STRIPES).map(|_| tokio::sync::Mutex::default()).collect()
}

/// The lock of a room.
async fn lock<'s>(stripes: &'s Stripes, room: &RoomId) -> tokio::sync::MutexGuard<'s, ()> {
    let sum = room.as_bytes().iter().map(|byte| usize::from(*byte)).sum::<usize>();
    stripes[sum % LOADING_STRIPES].lock().await
}

#[derive(Default)]
struct Registry {
    living: HashMap<RoomNumber, Weak<Core>>,
    sweep_at: usize,
}

/// The cache of rooms in use. What was used last stays: by how often they are used, a large room
/// would have to be asked for as often as all the small ones together that make room for it.
fn kept(bytes: u64) -> Cache<RoomNumber, Arc<Core>> {
    let largest = u32::try_from(bytes / LARGEST_SHARE).unwrap_or(u32::MAX);
    let weigh = move |_: &RoomNumber, core: &Arc<Core>| {
        u32::try_from(core.weigh()).unwrap_or(u32::MAX).min(largest)
    };
    let cache = Cache::builder().max_capacity(bytes).weigher(weigh);
    cache.eviction_policy(EvictionPolicy::lru()).build()
}

impl Rooms {
    /// Makes the handle.
    pub fn new(setup: Setup) -> Rooms {
        let settings = setup.settings.load_full();
        let loader = Loader {
            server: setup.server_name.clone(),
            events: EventCache::new(settings.events_bytes),
            groups: GroupCache::new(settings.states_bytes),
        };
        let chains = settings.states_bytes / CHAINS_SHARE;
        let inner = Inner {
            numbering: Numbering::new(setup.store.clone()),
            loader,
            chains: ChainCache::new(chains),
            reaches: ReachCache::new(chains),
            coverages: CoverageCache::new(chains),
            users: UserCache::default(),
            txns: TxnCache::new(),
            meters: Meters::default(),
            last_creation_ms: AtomicU64::new(0),
            registry: Mutex::default(),
            kept: kept(settings.rooms_bytes),
            loading: stripes(),
            joining: stripes(),
            upgrading: stripes(),
            setup,
        };
        Rooms { inner: Arc::new(inner) }
    }

    /// This server's name.
    pub fn server_name(&self) -> &ServerName {
        &self.inner.setup.server_name
    }

    /// Whether a user is of this server.
    pub fn is_local(&self, user: &UserId) -> bool {
        user.server_name() == self.server_name()
    }

    /// The room with this id, if this server is or was in it.
    pub async fn find(&self, id: &RoomId) -> Result<Option<Room>, RoomError> {
        match self.inner.find_room_number(id).await? {
            Some(number) => self.find_by_number(number).await,
            None => Ok(None),
        }
    }

    /// The room with this number.
    pub async fn find_by_number(&self, number: RoomNumber) -> Result<Option<Room>, RoomError> {
        Ok(self.inner.core(number).await?.map(Room))
    }

    /// The events that are kept ready; to be used in reads of the store.
    pub fn events(&self) -> &EventCache {
        &self.inner.loader.events
    }

    /// The states that are kept ready; to be used in reads of the store.
    pub fn groups(&self) -> &GroupCache {
        &self.inner.loader.groups
    }

    /// The room, for somebody who must not learn whether it exists.
    pub(crate) async fn known(&self, id: &RoomId) -> Result<Room, RoomError> {
        self.find(id).await?.ok_or(RoomError::NotInRoom)
    }
}

impl Inner {
    /// A room, loaded if it is not ready.
    async fn core(&self, number: RoomNumber) -> Result<Option<Arc<Core>>, RoomError> {
        if let Some(core) = self.meters.lookups.note(self.living(number)) {
            return Ok(Some(core));
        }
        let stripe = usize::try_from(number.0.unsigned_abs()).unwrap_or(0) % LOADING_STRIPES;
        let _loading = self.loading[stripe].lock().await;
        if let Some(core) = self.living(number) {
            return Ok(Some(core));
        }
        let loader = self.loader.clone();
        let load = move |snapshot: &mut store::Snapshot<'_>| loader.load(snapshot, number);
        let Some(loaded) = self.setup.store.read(load).await? else { return Ok(None) };
        let core = Core::new(loaded.tip, loaded.position, loaded.published);
        Ok(Some(self.adopt(Arc::new(core))))
    }

    /// Keeps a room from being joined through other servers twice at the same time.
    pub(crate) async fn joining(&self, room: &RoomId) -> tokio::sync::MutexGuard<'_, ()> {
        lock(&self.joining, room).await
    }

    /// Keeps a room from being upgraded twice at the same time.
    pub(crate) async fn upgrading(&self, room: &RoomId) -> tokio::sync::MutexGuard<'_, ()> {
        lock(&self.upgrading, room).await
    }

    /// How full the cache of rooms is, and how often a room was at hand.
    pub(crate) fn cache_stats(&self) -> CacheStats {
        CacheStats::of(&self.kept, &self.meters.lookups)
    }

    fn living(&self, number: RoomNumber) -> Option<Arc<Core>> {
        // The cache hears of each use, so that it keeps what is used.
        if let Some(core) = self.kept.get(&number) {
            if core.has_outgrown() {
                self.kept.insert(number, Arc::clone(&core));
            }
            return Some(core);
        }
        let core = self.registry.lock().living.get(&number)?.upgrade()?;
        self.kept.insert(number, Arc::clone(&core));
        Some(core)
    }

    /// Makes a room known, unless it is already; the one that counts comes back.
    pub(crate) fn adopt(&self, core: Arc<Core>) -> Arc<Core> {
        let mut registry = self.registry.lock();
        let known = registry.living.get(&core.number).and_then(Weak::upgrade);
        let core = known.unwrap_or(core);
        if registry.living.len() >= registry.sweep_at {
            registry.living.retain(|_, core| core.strong_count() > 0);
            registry.sweep_at = (registry.living.len() * 2).max(SWEEP_MIN);
        }
        registry.living.insert(core.number, Arc::downgrade(&core));
        drop(registry);
        self.kept.insert(core.number, Arc::clone(&core));
        core
    }
}
