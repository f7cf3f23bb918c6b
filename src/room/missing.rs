//! What a received event names and this server does not have: previous events, auth events, the
//! state before it.
//!
//! Previous events are asked for in rounds, from the newest to older ones; where a gap stays, the
//! other server is asked for the state there. Auth events are asked for one by one and stored as
//! outliers. Whatever comes is checked like any other event. All of it is limited; what stays
//! missing beyond the limits makes the event be dropped, and it may come again.
//!
//! Spec: server-server API, "Backfilling and retrieving missing events", "Retrieving events".

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use proto::{number::EventNumber, pdu::Pdu, state::StateMap};
use ruma::{EventId, OwnedEventId, ServerName};
use store::{
    numbers::CREATE,
    room::{
        event::Event,
        events::{self, Known},
        gaps,
    },
};

use crate::{
    Outcome, Room, RoomError, Rooms,
    admit::Ready,
    outliers::in_previous_order,
    peers::MissingEvents,
    placing::is_allowed_in,
    receive::{Received, dropped, parse},
};

/// How many events one question asks for.
const EVENTS_MAX: usize = 20;
/// How often is asked for older and older ones.
const ROUNDS_MAX: usize = 10;
/// How many events with gaps before them are looked at at once.
const GAPS_MAX: usize = 10;
/// How many auth events are fetched for one event.
const AUTH_EVENTS_MAX: usize = 1000;
/// How many events of a state are fetched.
const STATE_EVENTS_MAX: usize = 100_000;
/// How many bytes the events that are fetched at once may have together: as many as those of a
/// state that is as large as it may be, of the usual size.
const FETCHED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How many events are fetched at the same time.
const FETCHES_MAX: usize = 8;

impl Rooms {
    /// Takes a checked event in, after everything that it comes after.
    pub(crate) async fn take_in(
        &self,
        origin: &ServerName,
        room: &Room,
        pdu: Arc<Pdu>,
    ) -> Result<Received, RoomError> {
        let event_id = pdu.event_id().to_owned();
        let gathered = self.gather(origin, room, vec![pdu]).await?;
        let mut last = None;
        for pdu in in_previous_order(&gathered) {
            let is_it = pdu.event_id() == event_id;
            match self.take_one(origin, room, pdu).await {
                Ok(received) if is_it => last = Some(received),
                Ok(_) => {}
                Err(error) if is_it => return Err(error),
                // The event itself may still be taken in, by the state before it.
                Err(error) => tracing::info!(%error, "a missing event was not taken in"),
            }
        }
        self.fill_gaps(origin, room).await?;
        last.ok_or_else(|| dropped(Some(event_id), "it was not taken in"))
    }

    /// Tries to get what was missing when earlier events came. A server that has just sent
    /// something may be able to help now; what it gives is part of the past, and changes nothing in
    /// the current state.
    async fn fill_gaps(&self, origin: &ServerName, room: &Room) -> Result<(), RoomError> {
        let (number, cache) = (room.number(), self.events().clone());
        let read = self.inner.setup.store.read(move |snapshot| {
            let wanting = gaps::list_wanting(snapshot, number, GAPS_MAX)?;
            events::load_all(snapshot, &cache, &wanting)
        });
        let wanting: Vec<Arc<Event>> = read.await?;
        if wanting.is_empty() {
            return Ok(());
        }
        let wanting = wanting.iter().map(|event| Arc::clone(event.pdu())).collect::<Vec<_>>();
        let mut gathered = self.gather(origin, room, wanting.clone()).await?;
        // They are here themselves; only what comes before them may be new.
        gathered.retain(|pdu| wanting.iter().all(|one| one.event_id() != pdu.event_id()));
        for pdu in in_previous_order(&gathered) {
            if let Err(error) = self.take_one(origin, room, pdu).await {
                tracing::info!(%error, "a gap stays");
            }
        }
        Ok(())
    }

    /// Events with those before them that are missing, as far as they can be had.
    async fn gather(
        &self,
        origin: &ServerName,
        room: &Room,
        mut latest: Vec<Arc<Pdu>>,
    ) -> Result<Vec<Arc<Pdu>>, RoomError> {
        let begin = latest.iter().map(|pdu| (pdu.event_id().to_owned(), Arc::clone(pdu)));
        let mut gathered = begin.collect::<HashMap<_, _>>();
        for _ in 0..ROUNDS_MAX {
            latest = self.with_missing(latest, &gathered).await?;
            if latest.is_empty() {
                break;
            }
            let tips = &room.view().tips;
            let question = MissingEvents {
                earliest: tips.iter().map(|tip| tip.event_id().to_owned()).collect(),
                latest: latest.iter().map(|pdu| pdu.event_id().to_owned()).collect(),
                limit: EVENTS_MAX,
            };
            let answer = self.peers()?.missing_events(origin, room.id(), question).await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::info!(%origin, %error, "missing events could not be had");
                    break;
                }
            };
            let parsed = answer.iter().take(EVENTS_MAX);
            let parsed = parsed.filter_map(|pdu| parse(pdu, room.id(), room.rules()).ok());
            let before = gathered.len();
            for (pdu, _) in self.verify_all(parsed.collect()).await? {
                gathered.entry(pdu.event_id().to_owned()).or_insert(pdu);
            }
            if gathered.len() == before {
                break;
            }
            latest = gathered.values().cloned().collect();
        }
        Ok(gathered.into_values().collect())
    }

    /// Those of the events that name a previous event which is neither here nor gathered.
    async fn with_missing(
        &self,
        pdus: Vec<Arc<Pdu>>,
        gathered: &HashMap<OwnedEventId, Arc<Pdu>>,
    ) -> Result<Vec<Arc<Pdu>>, RoomError> {
        let named = pdus.iter().flat_map(|pdu| pdu.prev_events().iter());
        let named = named.filter(|id| !gathered.contains_key(*id)).cloned().collect::<Vec<_>>();
        let missing = self.missing_of(named, true).await?;
        let names_one = |pdu: &Arc<Pdu>| pdu.prev_events().iter().any(|id| missing.contains(id));
        Ok(pdus.into_iter().filter(names_one).collect())
    }

    /// Those of the events that are not stored; with `with_state`, not stored with the state around
    /// them.
    async fn missing_of(
        &self,
        mut ids: Vec<OwnedEventId>,
        with_state: bool,
    ) -> Result<HashSet<OwnedEventId>, RoomError> {
        ids.sort_unstable();
        ids.dedup();
        let read = self.inner.setup.store.read(move |snapshot| {
            let known = events::find_all(snapshot, &ids)?;
            let is_missing = |id: &OwnedEventId| {
                known.get(id).is_none_or(|known| with_state && !known.has_state)
            };
            Ok::<_, store::Error>(ids.iter().filter(|id| is_missing(id)).cloned().collect())
        });
        Ok(read.await?)
    }

    /// Takes one event in, whose previous events are here unless they cannot be had.
    async fn take_one(
        &self,
        origin: &ServerName,
        room: &Room,
        pdu: Arc<Pdu>,
    ) -> Result<Received, RoomError> {
        check_has_previous(room, &pdu)?;
        self.fetch_auth_events(origin, room, &pdu).await?;
        let missing = self.missing_of(pdu.prev_events().to_vec(), true).await?;
        let mut told = Vec::with_capacity(missing.len());
        for previous in missing {
            told.push(self.fetch_state_after(origin, room, previous).await?);
        }
        self.admit(&room.0, &Ready { pdu, told, anew: false }).await
    }

    /// Fetches the auth events of an event that are not here, and theirs.
    async fn fetch_auth_events(
        &self,
        origin: &ServerName,
        room: &Room,
        pdu: &Arc<Pdu>,
    ) -> Result<(), RoomError> {
        let mut named = pdu.auth_events().to_vec();
        named.extend(pdu.create_event_id());
        let mut open = self.missing_of(named, false).await?;
        let mut fetched: HashMap<OwnedEventId, Arc<Pdu>> = HashMap::new();
        while !open.is_empty() {
            if fetched.len() + open.len() > AUTH_EVENTS_MAX {
                let event_id = pdu.event_id().to_owned();
                return Err(dropped(Some(event_id), "too many of its auth events are missing"));
            }
            let answers = self.fetch_events(origin, room, open.iter().cloned().collect()).await?;
            let named = answers.iter().flat_map(|pdu| pdu.auth_events().iter().cloned());
            let named = named.collect::<Vec<_>>();
            for pdu in answers {
                fetched.insert(pdu.event_id().to_owned(), pdu);
            }
            if let Some(missing) = open.iter().find(|id| !fetched.contains_key(*id)) {
                let reason = format!("its auth event {missing} cannot be had");
                return Err(dropped(Some(pdu.event_id().to_owned()), &reason));
            }
            open = self.missing_of(named, false).await?;
            open.retain(|id| !fetched.contains_key(id));
        }
        if fetched.is_empty() {
            return Ok(());
        }
        let mut tip = self.lock_settled(&room.0).await?;
        // Outliers continue chains of the index too.
        tip.chain_ends.clear();
        self.store_outliers(room.number(), fetched.into_values().collect()).await
    }

    /// The state after an event that is not here: the event itself, and the state before it as the
    /// other server tells it.
    async fn fetch_state_after(
        &self,
        origin: &ServerName,
        room: &Room,
        event_id: OwnedEventId,
    ) -> Result<StateMap, RoomError> {
        let fetched = self.fetch_events(origin, room, vec![event_id.clone()]).await?.pop();
        let cannot = || dropped(Some(event_id.clone()), "a previous event cannot be had");
        let pdu = fetched.ok_or_else(cannot)?;
        self.fetch_auth_events(origin, room, &pdu).await?;
        let before = self.fetch_state_before(origin, room, &event_id).await?;
        {
            let mut tip = self.lock_settled(&room.0).await?;
            // Outliers continue chains of the index too.
            tip.chain_ends.clear();
            self.store_outliers(room.number(), vec![Arc::clone(&pdu)]).await?;
        }
        let (cache, sight) = (self.events().clone(), self.sight());
        let read = self.inner.setup.store.read(move |snapshot| {
            let event = events::find_by_id(snapshot, &cache, &event_id)?;
            let without = "the auth events of a previous event cannot be had";
            let event = event.ok_or_else(|| dropped(Some(event_id.clone()), without))?;
            let mut after = before.clone();
            if let Some(key) = event.key
                && event.outcome != Outcome::Rejected
                && is_allowed_in(snapshot, &sight, &pdu, &after)?
            {
                after.insert(key, event.number());
            }
            Ok::<_, RoomError>(after)
        });
        read.await
    }

    /// The state before an event, as another server tells it.
    async fn fetch_state_before(
        &self,
        origin: &ServerName,
        room: &Room,
        event_id: &EventId,
    ) -> Result<StateMap, RoomError> {
        let told = self.peers()?.state_ids(origin, room.id(), event_id).await;
        let told = told.map_err(|error| RoomError::Peer(error.0))?;
        let all = told.state.iter().chain(&told.auth_chain).cloned().collect::<Vec<_>>();
        if all.len() > STATE_EVENTS_MAX {
            return Err(dropped(Some(event_id.to_owned()), "the state before it is too large"));
        }
        let missing = self.missing_of(all, false).await?;
        let fetched = self.fetch_events(origin, room, missing.into_iter().collect()).await?;
        {
            let mut tip = self.lock_settled(&room.0).await?;
            // Outliers continue chains of the index too.
            tip.chain_ends.clear();
            self.store_outliers(room.number(), fetched).await?;
        }
        let still = self.missing_of(told.state.clone(), false).await?;
        if !still.is_empty() {
            return Err(dropped(Some(event_id.to_owned()), "the state before it cannot be had"));
        }
        let cache = self.events().clone();
        let number = room.number();
        let read = self.inner.setup.store.read(move |snapshot| {
            let known = events::find_all(snapshot, &told.state)?;
            // No server has a rejected event in its state.
            let is_state =
                |known: &&Known| known.room == number && known.outcome != Outcome::Rejected;
            let numbers = known.values().filter(is_state).map(|known| known.number);
            let mut numbers = numbers.collect::<Vec<EventNumber>>();
            // Of two events under one key the same counts each time.
            numbers.sort_unstable();
            let loaded = events::find_loaded(snapshot, &cache, &numbers)?;
            let entries = loaded.iter().filter_map(|event| Some((event.key?, event.number())));
            Ok::<_, store::Error>(entries.collect::<StateMap>())
        });
        Ok(read.await?)
    }

    /// Fetches events by id, as far as they can be had, and checks them.
    async fn fetch_events(
        &self,
        origin: &ServerName,
        room: &Room,
        ids: Vec<OwnedEventId>,
    ) -> Result<Vec<Arc<Pdu>>, RoomError> {
        let peers = self.peers()?;
        let fetches = ids.iter().map(|id| async move {
            match peers.event(origin, id).await {
                Ok(event) => event,
                Err(error) => {
                    tracing::info!(%origin, event_id = %id, %error, "an event could not be had");
                    None
                }
            }
        });
        let fetches = stream::iter(fetches.collect::<Vec<_>>());
        let mut answers = fetches.buffer_unordered(FETCHES_MAX);
        let mut asked = ids.iter().collect::<HashSet<_>>();
        let (mut parsed, mut bytes) = (Vec::new(), 0);
        while let Some(answer) = answers.next().await {
            let Some(answer) = answer else { continue };
            let Ok(pdu) = parse(&answer, room.id(), room.rules()) else { continue };
            if !asked.remove(&pdu.pdu().event_id().to_owned()) {
                continue;
            }
            bytes += pdu.pdu().json().len();
            if bytes > FETCHED_BYTES_MAX {
                return Err(dropped(None, "the events that it needs are too large"));
            }
            parsed.push(pdu);
        }
        let verified = self.verify_all(parsed).await?;
        Ok(verified.into_iter().map(|(pdu, _)| pdu).collect())
    }
}

/// Only the event with which the room begins comes after nothing. What else names no previous
/// event would have all of the room's state taken from it.
fn check_has_previous(room: &Room, pdu: &Pdu) -> Result<(), RoomError> {
    let view = room.view();
    let is_first = || view.pinned(CREATE).is_some_and(|body| body.event_id() == pdu.event_id());
    if pdu.prev_events().is_empty() && !is_first() {
        return Err(dropped(Some(pdu.event_id().to_owned()), "it names no previous event"));
    }
    Ok(())
}
