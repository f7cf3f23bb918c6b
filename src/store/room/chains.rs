//! The auth chain index: what is reachable from an event through auth events, without a walk.
//!
//! Each state event stands in a chain at a sequence, and a chain's later events reach its earlier
//! ones; so all that an event reaches is a map from chain to the greatest sequence. The map is
//! stored as [`levels`] describes, made from that of an auth event. A chain's number is that of its
//! first event.

use std::{collections::HashMap, sync::Arc};

use moka::sync::Cache;
use proto::number::EventNumber;

use super::levels::{self, Node, Path};
use crate::{Batch, Conflict, Error, Kind, Snapshot, WriteTxn, params};

static CHAINS: Batch = Batch {
    table: "auth_chain",
    columns: &[
        ("event", Kind::Int),
        ("chain", Kind::Int),
        ("sequence", Kind::Int),
        ("base", Kind::Int),
        ("depth", Kind::Int),
        ("delta", Kind::Bytes),
    ],
    key_columns: 1,
    conflict: Conflict::Fail,
};

/// An event and the bases of its map, without what they hold: that is read only where it is not at
/// hand.
const BASES: &str = "WITH RECURSIVE path (event, base, depth) AS (
    SELECT event, base, depth FROM auth_chain WHERE event = $1
    UNION ALL
    SELECT above.event, above.base, above.depth
    FROM path JOIN auth_chain AS above ON above.event = path.base
) SELECT event FROM path ORDER BY depth DESC";

const LOAD: &str = "SELECT event, chain, sequence, base, depth, delta FROM auth_chain
    WHERE event IN_INTS($1)";

const LAST: &str = "SELECT max(sequence) FROM auth_chain WHERE chain = $1";

const RANGE: &str = "SELECT event FROM auth_chain
    WHERE chain = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence";

/// How many rows are loaded by one statement.
const LOAD_MAX: usize = 1000;

/// Where an event stands in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its chain.
    pub chain: i64,
    /// Its sequence there, from 1 on.
    pub sequence: i64,
    /// What it reaches: a map from chain to sequence. The node's number is the event's.
    pub node: Arc<Node>,
}

/// The index in memory. A link never changes, so what is here is true for ever.
#[derive(Clone)]
pub struct ChainCache {
    links: Cache<EventNumber, Arc<Link>>,
}

impl ChainCache {
    /// An empty cache that keeps links up to so many bytes.
    pub fn new(bytes: u64) -> Self {
        let weigh = |_: &EventNumber, link: &Arc<Link>| {
            u32::try_from(96 + link.node.delta.len() * 16).unwrap_or(u32::MAX)
        };
        Self { links: Cache::builder().max_capacity(bytes).weigher(weigh).build() }
    }

    /// The link of an event, if it is at hand.
    pub fn get(&self, event: EventNumber) -> Option<Arc<Link>> {
        self.links.get(&event)
    }

    /// Keeps a committed link ready.
    pub fn keep(&self, link: &Arc<Link>) {
        self.links.insert(EventNumber(link.node.number), Arc::clone(link));
    }

    /// The links of these events; an event that is not in the index is left out.
    pub fn load_all(
        &self,
        snapshot: &mut Snapshot<'_>,
        events: &[EventNumber],
    ) -> Result<HashMap<EventNumber, Arc<Link>>, Error> {
        let mut found = HashMap::with_capacity(events.len());
        let mut missing = Vec::new();
        for event in events {
            match self.links.get(event) {
                Some(link) => {
                    found.insert(*event, link);
                }
                None => missing.push(*event),
            }
        }
        for events in missing.chunks(LOAD_MAX) {
            for link in snapshot.query(LOAD, params![events], read)? {
                self.keep(&link);
                found.insert(EventNumber(link.node.number), link);
            }
        }
        Ok(found)
    }

    /// What an event reaches, with all the bases of its map; empty for an event that is not in the
    /// index.
    pub fn path(&self, snapshot: &mut Snapshot<'_>, event: EventNumber) -> Result<Path, Error> {
        let mut path = Path::new();
        let mut next = Some(event.0);
        while let Some(number) = next {
            let Some(link) = self.links.get(&EventNumber(number)) else {
                let bases = snapshot.query(BASES, params![number], |row| row.number(0))?;
                let links = self.load_all(snapshot, &bases)?;
                let nodes = bases.iter().filter_map(|base| links.get(base));
                path.extend(nodes.map(|link| Arc::clone(&link.node)));
                break;
            };
            next = link.node.base;
            path.push(Arc::clone(&link.node));
        }
        Ok(path)
    }
}

/// Adds an event to the index.
pub fn insert(txn: &mut WriteTxn<'_>, link: &Link) -> Result<(), Error> {
    let Link { chain, sequence, node } = link;
    let delta = levels::encode(&node.delta);
    txn.insert(&CHAINS, params![node.number, chain, sequence, node.base, node.depth, delta])
}

/// The last sequence of a chain.
pub fn last_sequence(snapshot: &mut Snapshot<'_>, chain: i64) -> Result<i64, Error> {
    let last = snapshot.query_one(LAST, params![chain], |row| row.int_optional(0))?;
    Ok(last.unwrap_or(0))
}

/// The events of a chain after one sequence, up to and with another, earliest first.
pub fn list_range(
    snapshot: &mut Snapshot<'_>,
    chain: i64,
    after: i64,
    upto: i64,
) -> Result<Vec<EventNumber>, Error> {
    snapshot.query(RANGE, params![chain, after, upto], |row| row.number(0))
}

fn read(row: crate::Row<'_>) -> Result<Arc<Link>, Error> {
    let node = Node {
        number: row.int(0)?,
        base: row.int_optional(3)?,
        depth: row.int(4)?,
        delta: levels::decode(row.bytes(5)?)?,
    };
    Ok(Arc::new(Link { chain: row.int(1)?, sequence: row.int(2)?, node: Arc::new(node) }))
}
