//! Outliers: events that are stored without the state around them, because others name them: auth
//! events, and the states that other servers tell.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use proto::{
    auth::{Known, check_against_auth_events},
    number::{EventNumber, RoomNumber, StateKeyNumber},
    pdu::Pdu,
};
use ruma::{EventId, OwnedEventId};
use store::{
    WriteTxn,
    room::{
        chains,
        event::{Body, Event, Outcome},
        events,
    },
};

use crate::{
    RoomError, Rooms,
    keys::Pair,
    reach::{Reach, is_indexed},
};

/// How many outliers one change stores. Nobody sees them, so that it does not matter that there are
/// several changes; the more each has, the fewer pages of the indexes are written again and again.
const PIECE: usize = 500;

/// An event that is about to be stored as an outlier.
struct Outlier {
    event: Arc<Event>,
    reach: Option<Arc<Reach>>,
}

impl Rooms {
    /// Stores events as outliers, each after its auth events. Those that are here already, whatever
    /// they are, stay as they are; those whose auth events are not all here by then are left out,
    /// since nothing could be said about them. The caller holds the room's lock, or is the only one
    /// who knows the room.
    pub(crate) async fn store_outliers(
        &self,
        room: RoomNumber,
        pdus: Vec<Arc<Pdu>>,
    ) -> Result<(), RoomError> {
        for piece in in_auth_order(&pdus).chunks(PIECE) {
            self.store_piece(room, piece).await?;
        }
        Ok(())
    }

    async fn store_piece(&self, room: RoomNumber, pdus: &[Arc<Pdu>]) -> Result<(), RoomError> {
        let mut ids = pdus.iter().map(|pdu| pdu.event_id().to_owned()).collect::<Vec<_>>();
        ids.extend(pdus.iter().flat_map(|pdu| pdu.auth_events().iter().cloned()));
        ids.extend(pdus.iter().filter_map(|pdu| pdu.create_event_id()));
        ids.sort_unstable();
        ids.dedup();
        let mut here = self.load_here(ids).await?;
        let pdus = pdus.iter().filter(|pdu| !here.events.contains_key(pdu.event_id()));
        let pdus = here.with_auth_events(room, pdus.cloned().collect());
        let keys = self.outlier_keys(&pdus).await?;
        let mut outliers = Vec::with_capacity(pdus.len());
        for (pdu, key) in pdus.into_iter().zip(keys) {
            let number = self.inner.numbering.next_event().await?;
            let outlier = here.outlier(room, number, key, pdu);
            here.events.insert(outlier.event.event_id().to_owned(), Arc::clone(&outlier.event));
            if let Some(reach) = &outlier.reach {
                here.reaches.insert(number, Arc::clone(reach));
            }
            outliers.push(outlier);
        }
        if outliers.is_empty() {
            return Ok(());
        }
        let (inner, outliers) = (Arc::clone(&self.inner), Arc::new(outliers));
        let work = self.inner.setup.store.write(move |txn| {
            let (inner, shown) = (Arc::clone(&inner), Arc::clone(&outliers));
            txn.on_commit(Box::new(move || {
                for outlier in shown.iter() {
                    inner.loader.events.insert_committed(&outlier.event);
                    if let Some(reach) = &outlier.reach {
                        inner.chains.keep(&reach.link);
                        inner.reaches.keep(reach);
                    }
                }
            }));
            write(txn, &outliers)
        });
        Ok(work.await?)
    }

    /// What is stored of these events.
    async fn load_here(&self, ids: Vec<OwnedEventId>) -> Result<Here, RoomError> {
        let (cache, index) = (self.events().clone(), self.inner.chains.clone());
        let read = self.inner.setup.store.read(move |snapshot| {
            let known = events::find_all(snapshot, &ids)?;
            let numbers = known.values().map(|known| known.number).collect::<Vec<_>>();
            let loaded = events::find_loaded(snapshot, &cache, &numbers)?;
            let reaches = Reach::load_all(snapshot, &index, &numbers)?;
            let mut ends = HashMap::new();
            for reach in &reaches {
                let chain = reach.link.chain;
                ends.insert(chain, chains::last_sequence(snapshot, chain)?);
            }
            Ok::<_, store::Error>(Here {
                events: loaded
                    .into_iter()
                    .map(|event| (event.event_id().to_owned(), event))
                    .collect(),
                reaches: reaches.into_iter().map(|reach| (reach.event(), reach)).collect(),
                ends,
            })
        });
        Ok(read.await?)
    }

    async fn outlier_keys(
        &self,
        pdus: &[Arc<Pdu>],
    ) -> Result<Vec<Option<StateKeyNumber>>, RoomError> {
        let pair = |pdu: &Arc<Pdu>| -> Option<Pair> {
            Some((pdu.type_str().to_owned(), pdu.state_key()?.to_owned()))
        };
        let pairs = pdus.iter().filter_map(pair).collect::<Vec<_>>();
        let mut keys = self.inner.intern_keys(&pairs).await?.into_iter();
        Ok(pdus.iter().map(|pdu| pdu.state_key().and_then(|_| keys.next())).collect())
    }
}

fn write(txn: &mut WriteTxn<'_>, outliers: &[Outlier]) -> Result<(), store::Error> {
    for outlier in outliers {
        events::insert(txn, &outlier.event)?;
        if let Some(reach) = &outlier.reach {
            chains::insert(txn, &reach.link)?;
        }
    }
    Ok(())
}

/// The events that are stored, with their places in the auth chain index.
struct Here {
    events: HashMap<OwnedEventId, Arc<Event>>,
    reaches: HashMap<EventNumber, Arc<Reach>>,
    /// The last sequence of each chain.
    ends: HashMap<i64, i64>,
}

impl Here {
    /// Those of the events, which are in order of their auth events, that will have all of theirs.
    /// What is of another room is nothing that allows an event of this one.
    fn with_auth_events(&self, room: RoomNumber, pdus: Vec<Arc<Pdu>>) -> Vec<Arc<Pdu>> {
        let mut complete: Vec<Arc<Pdu>> = Vec::with_capacity(pdus.len());
        let mut ids: HashSet<OwnedEventId> = HashSet::with_capacity(pdus.len());
        for pdu in pdus {
            let create = pdu.create_event_id().filter(|create| create != pdu.event_id());
            let mut named = pdu.auth_events().iter().chain(&create);
            let is_here = |id| self.events.get(id).is_some_and(|event| event.room == room);
            if named.all(|id| is_here(id) || ids.contains(id)) {
                ids.insert(pdu.event_id().to_owned());
                complete.push(pdu);
            }
        }
        complete
    }

    fn outlier(
        &mut self,
        room: RoomNumber,
        number: EventNumber,
        key: Option<StateKeyNumber>,
        pdu: Arc<Pdu>,
    ) -> Outlier {
        let find = |id: &EventId| {
            let event = self.events.get(id)?;
            let rejected = event.outcome == Outcome::Rejected;
            Some(Known { pdu: Arc::clone(event.pdu()), rejected })
        };
        let outcome = match check_against_auth_events(&pdu, find) {
            Ok(()) => Outcome::Outlier,
            Err(denied) => {
                let event_id = pdu.event_id();
                tracing::info!(%event_id, %denied, "a received outlier is not allowed");
                Outcome::Rejected
            }
        };
        let reach = (key.is_some() && is_indexed(&pdu)).then(|| self.reach(number, key, &pdu));
        let event = Event {
            room,
            outcome,
            key,
            group: None,
            place: None,
            replaces: None,
            body: Arc::new(Body::new(number, pdu)),
        };
        Outlier { event: Arc::new(event), reach }
    }

    fn reach(&mut self, number: EventNumber, key: Option<StateKeyNumber>, pdu: &Pdu) -> Arc<Reach> {
        let auth = pdu.auth_events().iter().filter_map(|id| self.events.get(id));
        let auth = auth.collect::<Vec<_>>();
        let predecessor = auth.iter().find(|event| event.key == key);
        let continues = predecessor.and_then(|event| {
            let link = &self.reaches.get(&event.number())?.link;
            let last = self.ends.get(&link.chain).copied().unwrap_or(link.sequence);
            (last == link.sequence).then_some((link.chain, last))
        });
        let reaches = auth.iter().filter_map(|event| self.reaches.get(&event.number()));
        let reach = Reach::new(number, &reaches.cloned().collect::<Vec<_>>(), continues);
        self.ends.insert(reach.link.chain, reach.link.sequence);
        Arc::new(reach)
    }
}

/// The events ordered so that each comes after those of its auth events that are among them.
pub(crate) fn in_auth_order(pdus: &[Arc<Pdu>]) -> Vec<Arc<Pdu>> {
    // In room version 12 the create event is named by the room's id alone.
    in_order(pdus, |pdu| {
        let create = pdu.create_event_id().filter(|create| create != pdu.event_id());
        pdu.auth_events().iter().cloned().chain(create).collect()
    })
}

/// The events ordered so that each comes after those of its previous events that are among them.
pub(crate) fn in_previous_order(pdus: &[Arc<Pdu>]) -> Vec<Arc<Pdu>> {
    in_order(pdus, |pdu| pdu.prev_events().to_vec())
}

/// Room versions 1 and 2 let servers choose their events' ids, so that a forger can have events
/// name each other in a circle, or themselves: nothing is opened twice.
fn in_order(pdus: &[Arc<Pdu>], named: impl Fn(&Pdu) -> Vec<OwnedEventId>) -> Vec<Arc<Pdu>> {
    let by_id = pdus.iter().map(|pdu| (pdu.event_id().to_owned(), Arc::clone(pdu)));
    let by_id = by_id.collect::<HashMap<_, _>>();
    let mut opened: HashSet<OwnedEventId> = HashSet::with_capacity(pdus.len());
    let mut ordered = Vec::with_capacity(pdus.len());
    for pdu in pdus {
        // An event is looked at twice: to put what it names before it, and then itself.
        let mut open = vec![(Arc::clone(pdu), false)];
        while let Some((pdu, is_ready)) = open.pop() {
            if is_ready {
                ordered.push(pdu);
                continue;
            }
            if !opened.insert(pdu.event_id().to_owned()) {
                continue;
            }
            let before = named(&pdu).into_iter().filter(|id| !opened.contains(id));
            let before = before.filter_map(|id| by_id.get(&id).cloned()).collect::<Vec<_>>();
            open.push((pdu, true));
            open.extend(before.into_iter().map(|pdu| (pdu, false)));
        }
    }
    ordered
}

#[cfg(test)]
#[path = "outliers_test.rs"]
mod tests;
