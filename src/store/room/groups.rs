//! State groups: stored states of rooms, as [`levels`] describes.

use std::sync::Arc;

use moka::sync::Cache;
use proto::{
    number::{EventNumber, StateGroup, StateKeyNumber},
    state::StateMap,
};

use super::levels::{self, Node, Path, REMOVED};
use crate::{Batch, CacheStats, Conflict, Error, Kind, Lookups, Snapshot, WriteTxn, params};

static GROUPS: Batch = Batch {
    table: "state_group",
    columns: &[
        ("number", Kind::Int),
        ("parent", Kind::Int),
        ("base", Kind::Int),
        ("depth", Kind::Int),
        ("delta", Kind::Bytes),
    ],
    key_columns: 1,
    conflict: Conflict::Fail,
};

const PATH: &str = "WITH RECURSIVE path (number, base, depth, delta) AS (
    SELECT number, base, depth, delta FROM state_group WHERE number = $1
    UNION ALL
    SELECT above.number, above.base, above.depth, above.delta
    FROM path JOIN state_group AS above ON above.number = path.base
) SELECT number, base, depth, delta FROM path ORDER BY depth DESC";

const PARENT: &str = "SELECT parent FROM state_group WHERE number = $1";

/// Stored states that are kept ready. A group never changes, so what is here is true for ever.
#[derive(Clone)]
pub struct GroupCache {
    nodes: Cache<StateGroup, Arc<Node>>,
    maps: Cache<StateGroup, StateMap>,
    parents: Cache<StateGroup, Option<StateGroup>>,
    lookups: Arc<Lookups>,
}

/// A group that a change adds.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// The state that it came from.
    pub parent: Option<StateGroup>,
    /// The group itself.
    pub node: Arc<Node>,
}

/// How many maps the cache holds at most, whatever their size: they share most of it.
const MAPS_MAX: u64 = 2_000;
/// How many parents the cache holds at most.
const PARENTS_MAX: u64 = 20_000;

impl GroupCache {
    /// An empty cache that keeps deltas up to so many bytes.
    pub fn new(bytes: u64) -> Self {
        let weigh = |_: &StateGroup, node: &Arc<Node>| {
            u32::try_from(64 + node.delta.len() * 16).unwrap_or(u32::MAX)
        };
        Self {
            nodes: Cache::builder().max_capacity(bytes).weigher(weigh).build(),
            maps: Cache::new(MAPS_MAX),
            parents: Cache::new(PARENTS_MAX),
            lookups: Arc::default(),
        }
    }

    /// How full it is with deltas, and how often they were at hand.
    pub fn stats(&self) -> CacheStats {
        CacheStats::of(&self.nodes, &self.lookups)
    }

    /// A group with all its bases.
    pub fn path(&self, snapshot: &mut Snapshot<'_>, group: StateGroup) -> Result<Path, Error> {
        let mut path = Path::new();
        let mut next = Some(group.0);
        while let Some(number) = next {
            let found = self.nodes.get(&StateGroup(number));
            let Some(node) = self.lookups.note(found) else {
                let rest = load_path(snapshot, StateGroup(number))?;
                for node in &rest {
                    self.nodes.insert(StateGroup(node.number), Arc::clone(node));
                }
                path.extend(rest);
                break;
            };
            next = node.base;
            path.push(node);
        }
        Ok(path)
    }

    /// The event under one key of a state.
    pub fn get(
        &self,
        snapshot: &mut Snapshot<'_>,
        group: StateGroup,
        key: StateKeyNumber,
    ) -> Result<Option<EventNumber>, Error> {
        if let Some(map) = self.maps.get(&group) {
            return Ok(map.get(&key).copied());
        }
        let path = self.path(snapshot, group)?;
        Ok(levels::get(&path, key.0).map(EventNumber))
    }

    /// A whole state.
    pub fn map(&self, snapshot: &mut Snapshot<'_>, group: StateGroup) -> Result<StateMap, Error> {
        if let Some(map) = self.maps.get(&group) {
            return Ok(map);
        }
        let path = self.path(snapshot, group)?;
        // A base that is kept ready shares its structure with what is built on it.
        let mut map = StateMap::new();
        let mut above = path.len();
        for (place, node) in path.iter().enumerate() {
            if let Some(kept) = self.maps.get(&StateGroup(node.number)) {
                map = kept;
                above = place;
                break;
            }
        }
        for node in path[..above].iter().rev() {
            map = apply(map, &node.delta);
            self.maps.insert(StateGroup(node.number), map.clone());
        }
        Ok(map)
    }

    /// The state that a group came from.
    pub fn parent(
        &self,
        snapshot: &mut Snapshot<'_>,
        group: StateGroup,
    ) -> Result<Option<StateGroup>, Error> {
        if let Some(parent) = self.parents.get(&group) {
            return Ok(parent);
        }
        let parent = snapshot.query_one(PARENT, params![group], |row| row.number_optional(0))?;
        self.parents.insert(group, parent);
        Ok(parent)
    }

    /// Keeps a committed group ready.
    pub fn keep(&self, group: &NewGroup) {
        let number = StateGroup(group.node.number);
        self.parents.insert(number, group.parent);
        self.nodes.insert(number, Arc::clone(&group.node));
    }
}

/// Adds a group.
pub fn insert(txn: &mut WriteTxn<'_>, group: &NewGroup) -> Result<(), Error> {
    let NewGroup { parent, node } = group;
    let delta = levels::encode(&node.delta);
    txn.insert(&GROUPS, params![node.number, parent, node.base, node.depth, delta])
}

/// A map with a delta applied.
pub fn apply(mut map: StateMap, delta: &[(i64, i64)]) -> StateMap {
    for (key, value) in delta {
        if *value == REMOVED {
            map.remove(&StateKeyNumber(*key));
        } else {
            map.insert(StateKeyNumber(*key), EventNumber(*value));
        }
    }
    map
}

fn load_path(snapshot: &mut Snapshot<'_>, group: StateGroup) -> Result<Path, Error> {
    let path = snapshot.query(PATH, params![group], |row| {
        Ok(Arc::new(Node {
            number: row.int(0)?,
            base: row.int_optional(1)?,
            depth: row.int(2)?,
            delta: levels::decode(row.bytes(3)?)?,
        }))
    })?;
    match path.last() {
        Some(root) if root.base.is_none() => Ok(path),
        _ => Err(Error::Corrupt(format!("state group {group} has no root"))),
    }
}
