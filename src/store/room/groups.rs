//! State groups: stored states of rooms, as [`levels`] describes.

use std::sync::Arc;

use moka::sync::Cache;
use proto::{
    number::{EventNumber, StateGroup, StateKeyNumber},
    state::StateMap,
};

use super::levels::{self, Node, Path, REMOVED};
use crate::{Batch, CacheStats, Conflict, Error, Kind, Lookups, Row, Snapshot, WriteTxn, params};

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

/// A group and its bases, without what they hold: that is read only where it is not at hand, and
/// the root, which is as large as the state was once, nearly always is.
const BASES: &str = "WITH RECURSIVE path (number, base, depth) AS (
    SELECT number, base, depth FROM state_group WHERE number = $1
    UNION ALL
    SELECT above.number, above.base, above.depth
    FROM path JOIN state_group AS above ON above.number = path.base
) SELECT number FROM path ORDER BY depth DESC";

const NODES: &str = "SELECT number, base, depth, delta FROM state_group WHERE number IN_INTS($1)";

const PARENT: &str = "SELECT parent FROM state_group WHERE number = $1";

/// Stored states that are kept ready. A group never changes, so what is here is true for ever.
#[derive(Clone)]
pub struct GroupCache {
    nodes: Cache<StateGroup, Arc<Node>>,
    maps: Cache<StateGroup, KeptMap>,
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

/// A map with what it costs beside what it shares with the map that it was built from, in bytes.
#[derive(Clone)]
struct KeptMap {
    map: StateMap,
    bytes: u32,
}

/// About what an entry of a map takes, in bytes.
const ENTRY_BYTES: usize = 50;
/// About what one change copies of a map that is shared, in bytes: the nodes on the way to it.
const CHANGE_BYTES: usize = 3_000;
/// How many parents the cache holds at most.
const PARENTS_MAX: u64 = 20_000;

impl GroupCache {
    /// An empty cache that keeps so many bytes, half of them deltas and half of them maps.
    pub fn new(bytes: u64) -> Self {
        let weigh = |_: &StateGroup, node: &Arc<Node>| {
            u32::try_from(64 + node.delta.len() * 16).unwrap_or(u32::MAX)
        };
        Self {
            nodes: Cache::builder().max_capacity(bytes / 2).weigher(weigh).build(),
            maps: Cache::builder()
                .max_capacity(bytes / 2)
                .weigher(|_: &StateGroup, kept: &KeptMap| kept.bytes)
                .build(),
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
                path.extend(self.load_path(snapshot, StateGroup(number))?);
                break;
            };
            next = node.base;
            path.push(node);
        }
        Ok(path)
    }

    fn load_path(&self, snapshot: &mut Snapshot<'_>, group: StateGroup) -> Result<Path, Error> {
        let numbers = snapshot.query(BASES, params![group], |row| row.int(0))?;
        let at_hand = numbers.iter().map(|number| self.nodes.get(&StateGroup(*number)));
        let mut path = at_hand.collect::<Vec<_>>();
        let missing = numbers.iter().zip(&path).filter(|(_, node)| node.is_none());
        let missing = missing.map(|(number, _)| *number).collect::<Vec<_>>();
        for node in snapshot.query(NODES, params![&missing[..]], read_node)? {
            self.nodes.insert(StateGroup(node.number), Arc::clone(&node));
            if let Some(place) = numbers.iter().position(|number| *number == node.number) {
                path[place] = Some(node);
            }
        }
        let path = path.into_iter().collect::<Option<Path>>().unwrap_or_default();
        match path.last() {
            Some(root) if root.base.is_none() => Ok(path),
            _ => Err(Error::Corrupt(format!("state group {group} has no root"))),
        }
    }

    /// The event under one key of a state.
    pub fn get(
        &self,
        snapshot: &mut Snapshot<'_>,
        group: StateGroup,
        key: StateKeyNumber,
    ) -> Result<Option<EventNumber>, Error> {
        if let Some(kept) = self.maps.get(&group) {
            return Ok(kept.map.get(&key).copied());
        }
        let path = self.path(snapshot, group)?;
        Ok(levels::get(&path, key.0).map(EventNumber))
    }

    /// A whole state.
    pub fn map(&self, snapshot: &mut Snapshot<'_>, group: StateGroup) -> Result<StateMap, Error> {
        if let Some(kept) = self.maps.get(&group) {
            return Ok(kept.map);
        }
        let path = self.path(snapshot, group)?;
        // A base that is kept ready shares its structure with what is built on it.
        let mut map = StateMap::new();
        let mut above = path.len();
        for (place, node) in path.iter().enumerate() {
            if let Some(kept) = self.maps.get(&StateGroup(node.number)) {
                map = kept.map;
                above = place;
                break;
            }
        }
        for node in path[..above].iter().rev() {
            map = apply(map, &node.delta);
            self.maps.insert(StateGroup(node.number), KeptMap::new(&map, &node.delta));
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

impl KeptMap {
    /// A map that was built by a delta from a map that is kept as well, or from nothing.
    fn new(map: &StateMap, delta: &[(i64, i64)]) -> Self {
        let whole = map.len() * ENTRY_BYTES;
        let bytes = whole.min(delta.len() * CHANGE_BYTES) + 64;
        Self { map: map.clone(), bytes: u32::try_from(bytes).unwrap_or(u32::MAX) }
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

fn read_node(row: Row<'_>) -> Result<Arc<Node>, Error> {
    Ok(Arc::new(Node {
        number: row.int(0)?,
        base: row.int_optional(1)?,
        depth: row.int(2)?,
        delta: levels::decode(row.bytes(3)?)?,
    }))
}

#[cfg(test)]
#[path = "groups_test.rs"]
mod tests;
