//! What a state event reaches through auth events: how a new event gets its place in the auth chain
//! index.
//!
//! An event continues the chain of the event that it replaces, if that is among its auth events and
//! the last of its chain; else it begins a chain of its own. Only types that can be auth events are
//! in the index; what another event reaches follows from its auth events.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use proto::{number::EventNumber, pdu::Pdu};
use store::{
    Snapshot,
    room::{
        chains::{ChainCache, Link},
        levels::{Delta, Node, Path, REMOVED},
    },
};

/// An event's place in the index, with the whole map of what it reaches.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) link: Arc<Link>,
    /// The stored map with its bases.
    pub(crate) path: Path,
    /// The map itself: the greatest sequence that is reached in each chain.
    pub(crate) map: Delta,
}

/// Whether events like this one can be auth events of others.
pub(crate) fn is_indexed(pdu: &Pdu) -> bool {
    pdu.is_state()
        && matches!(
            pdu.type_str(),
            "m.room.create"
                | "m.room.power_levels"
                | "m.room.join_rules"
                | "m.room.member"
                | "m.room.third_party_invite"
        )
}

impl Reach {
    /// The place of a new event with these auth events. `continues` is the chain that it continues,
    /// with the sequence of the last event there.
    pub(crate) fn new(
        event: EventNumber,
        auth_events: &[Arc<Self>],
        continues: Option<(i64, i64)>,
    ) -> Self {
        let map = union(auth_events.iter().map(|auth| &**auth));
        let (chain, sequence) = continues.map_or((event.0, 1), |(chain, last)| (chain, last + 1));
        let parent = auth_events.iter().max_by_key(|auth| auth.map.len());
        let changes = map.iter().filter(|(chain, sequence)| {
            parent.is_none_or(|parent| sequence_in(&parent.map, **chain) != **sequence)
        });
        let changes = changes.map(|(chain, sequence)| (*chain, *sequence)).collect();
        let parent_path = parent.map_or(&[][..], |parent| &parent.path);
        let node = Arc::new(Node::child(event.0, parent_path, changes));
        let path = Node::path_of(&node, parent_path);
        let link = Arc::new(Link { chain, sequence, node });
        Self { link, path, map: map.into_iter().collect() }
    }

    /// Reads the places of stored events; those that are not in the index are left out.
    pub(crate) fn load_all(
        snapshot: &mut Snapshot<'_>,
        chains: &ChainCache,
        events: &[EventNumber],
    ) -> Result<Vec<Arc<Self>>, store::Error> {
        let links = load_links(snapshot, chains, events)?;
        let mut reaches = Vec::with_capacity(events.len());
        for event in events {
            let Some(link) = links.get(event) else { continue };
            let path = path_in(&links, link);
            let map = flatten(&path);
            reaches.push(Arc::new(Self { link: Arc::clone(link), path, map }));
        }
        Ok(reaches)
    }

    /// The event.
    pub(crate) fn event(&self) -> EventNumber {
        EventNumber(self.link.node.number)
    }

    /// About how many bytes it keeps in memory.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(192 + self.map.len() * 16).unwrap_or(u32::MAX)
    }
}

/// Places by event.
type Links = HashMap<EventNumber, Arc<Link>>;

/// The places of these events and all the bases of their maps. The bases are asked for together: as
/// many questions as the longest path has steps, however many events there are.
fn load_links(
    snapshot: &mut Snapshot<'_>,
    chains: &ChainCache,
    events: &[EventNumber],
) -> Result<Links, store::Error> {
    let mut links = chains.load_all(snapshot, events)?;
    let mut open = bases_of(&links, &links);
    while !open.is_empty() {
        let found = chains.load_all(snapshot, &open)?;
        if found.len() < open.len() {
            return Err(store::Error::corrupt("a place in the auth chain index has no base"));
        }
        links.extend(found.iter().map(|(event, link)| (*event, Arc::clone(link))));
        open = bases_of(&found, &links);
    }
    Ok(links)
}

/// The bases of some places that are not known yet.
fn bases_of(some: &Links, known: &Links) -> Vec<EventNumber> {
    let bases = some.values().filter_map(|link| link.node.base.map(EventNumber));
    let bases = bases.filter(|base| !known.contains_key(base)).collect::<BTreeSet<_>>();
    bases.into_iter().collect()
}

fn path_in(links: &Links, link: &Arc<Link>) -> Path {
    let above = |link: &&Arc<Link>| links.get(&EventNumber(link.node.base?));
    std::iter::successors(Some(link), above).map(|link| Arc::clone(&link.node)).collect()
}

/// Everything that these events reach, themselves included.
pub(crate) fn union<'r>(reaches: impl Iterator<Item = &'r Reach>) -> BTreeMap<i64, i64> {
    let mut map = BTreeMap::new();
    for reach in reaches {
        for (chain, sequence) in reach.map.iter() {
            raise(&mut map, *chain, *sequence);
        }
        raise(&mut map, reach.link.chain, reach.link.sequence);
    }
    map
}

/// The greatest sequence that a map reaches in a chain; 0 if it does not reach it.
pub(crate) fn sequence_in(map: &[(i64, i64)], chain: i64) -> i64 {
    map.binary_search_by_key(&chain, |(chain, _)| *chain).map_or(0, |place| map[place].1)
}

fn raise(map: &mut BTreeMap<i64, i64>, chain: i64, sequence: i64) {
    let reached = map.entry(chain).or_default();
    *reached = sequence.max(*reached);
}

fn flatten(path: &Path) -> Delta {
    let mut map = BTreeMap::new();
    for node in path.iter().rev() {
        map.extend(node.delta.iter().copied());
    }
    map.into_iter().filter(|(_, sequence)| *sequence != REMOVED).collect()
}
