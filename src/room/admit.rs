//! How a received event gets into its room: under the room's lock, once everything that it names is
//! here.

use std::sync::Arc;

use proto::{
    number::{RoomNumber, StateGroup},
    pdu::Pdu,
    state::StateMap,
};
use ruma::OwnedEventId;
use smallvec::SmallVec;
use store::{
    numbers::Promise,
    room::{
        event::{Body, Outcome},
        events,
        groups::NewGroup,
        levels::{Node, Path, REMOVED},
    },
};
use tokio::sync::MutexGuard;

use crate::{
    RoomError, Rooms,
    persist::{WriteError, Written},
    placing::{Arrival, Placed, Placer},
    queue::ATTEMPTS_MAX,
    receive::{Received, dropped},
    redact,
    room::Core,
    stage::{Gaps, Redaction, Stage, StagedEvent},
    tip::Tip,
};

/// An event that is ready to be placed.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) pdu: Arc<Pdu>,
    /// The states after those of its previous events that are not here, as another server tells
    /// them.
    pub(crate) told: Vec<StateMap>,
    /// Whether it is told the state before the event instead, which replaces the room's: this
    /// server comes back after having been away.
    pub(crate) anew: bool,
}

impl Rooms {
    /// Puts a received event into its room.
    pub(crate) async fn admit(
        &self,
        core: &Arc<Core>,
        ready: &Ready,
    ) -> Result<Received, RoomError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.try_admit(core, ready).await {
                Ok(received) => return Ok(received),
                Err(WriteError::Stale) => core.break_tip(),
                Err(WriteError::Failed(error)) => return Err(error),
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_admit(&self, core: &Arc<Core>, ready: &Ready) -> Result<Received, WriteError> {
        let mut tip = self.lock_settled(core).await?;
        let event_id = ready.pdu.event_id().to_owned();
        let (arrival, promise) = match self.arrival(core.number, ready).await? {
            Ok(arrived) => arrived,
            Err(outcome) => return Ok(Received { event_id, outcome }),
        };
        let placer = Placer {
            sight: self.sight(),
            chains: self.inner.chains.clone(),
            view: Arc::clone(&tip.view),
            arrival: arrival.clone(),
        };
        let placed = self.inner.setup.store.read(move |snapshot| placer.place(snapshot));
        let placed: Placed = placed.await?;
        let outcome = placed.outcome;
        if let Some(denied) = &placed.denied {
            tracing::info!(%event_id, ?outcome, %denied, "a received event is not allowed");
        }
        let mut stage = Stage::new(&self.inner, core, &tip);
        stage.hold(promise);
        stage.add_received(&arrival, placed).await?;
        let Some(staged) = stage.finish(self) else {
            return Err(RoomError::Damaged("a received event staged nothing".to_owned()).into());
        };
        let change = Arc::clone(&staged.change);
        let commit = self.inner.setup.store.enqueue(move |txn| change.write(txn)).await?;
        staged.put_on(&mut tip);
        drop(tip);
        match commit.await {
            Ok(Written { .. }) => Ok(Received { event_id, outcome }),
            Err(error) => {
                core.break_tip();
                Err(error)
            }
        }
    }

    /// The room's lock, once everything in flight has landed.
    pub(crate) async fn lock_settled<'c>(
        &self,
        core: &'c Core,
    ) -> Result<MutexGuard<'c, Tip>, RoomError> {
        loop {
            let tip = self.lock(core).await?;
            core.settle().await;
            if !core.is_broken() {
                return Ok(tip);
            }
        }
    }

    /// The event with its number and key, and the promise of a new key; the outcome, if it is here
    /// already.
    async fn arrival(
        &self,
        room: RoomNumber,
        ready: &Ready,
    ) -> Result<Result<(Arrival, Option<Promise>), Outcome>, RoomError> {
        let pdu = Arc::clone(&ready.pdu);
        let known = self.inner.find_known_in(room, pdu.event_id()).await?;
        let (body, known) = match known {
            Some(known) if known.has_state => return Ok(Err(known.outcome)),
            Some(known) => {
                let body = self.inner.body(known.number).await?;
                check_same(&pdu, body.pdu())?;
                (body, true)
            }
            None => {
                let number = self.inner.numbering.next_event().await?;
                (Arc::new(Body::new(number, Arc::clone(&pdu))), false)
            }
        };
        let (key, promise) = match self.inner.key_of(&pdu).await? {
            Some(key) => (Some(key.number), key.promise),
            None => (None, None),
        };
        let (told, anew) = (ready.told.clone(), ready.anew);
        Ok(Ok((Arrival { pdu, body, known, key, told, anew }, promise)))
    }
}

impl crate::rooms::Inner {
    /// What the store knows of an event. Room versions 1 and 2 let servers choose their events'
    /// ids: what has the id of an event of another room is dropped.
    pub(crate) async fn find_known_in(
        &self,
        room: RoomNumber,
        event_id: &ruma::EventId,
    ) -> Result<Option<events::Known>, RoomError> {
        let ids = [event_id.to_owned()];
        let read = self.setup.store.read(move |snapshot| events::find_all(snapshot, &ids));
        let known: std::collections::HashMap<OwnedEventId, events::Known> = read.await?;
        let known = known.into_values().next();
        if known.is_some_and(|known| known.room != room) {
            let event = Some(event_id.to_owned());
            return Err(dropped(event, "its id is that of an event of another room"));
        }
        Ok(known)
    }
}

/// What is checked must be what is stored: an event that has come as an outlier must not come as
/// another one, though room versions 1 and 2 let both have the same id.
fn check_same(pdu: &Pdu, stored: &Pdu) -> Result<(), RoomError> {
    if pdu.rules().has_event_id_field() && pdu.reference_hash() != stored.reference_hash() {
        let event = Some(pdu.event_id().to_owned());
        return Err(dropped(event, "another event of the room has its id"));
    }
    Ok(())
}

impl Stage<'_> {
    /// Adds a received event where it was placed.
    pub(crate) async fn add_received(
        &mut self,
        arrival: &Arrival,
        placed: Placed,
    ) -> Result<(), RoomError> {
        let body = Arc::clone(&arrival.body);
        let (before, path) = self.group_before(&placed).await?;
        let accepted = placed.outcome != Outcome::Rejected;
        let after = match arrival.key {
            Some(key) if accepted => {
                let entry = (key.0, body.number().0);
                self.child_group((Some(before), &path), vec![entry]).await?
            }
            _ => (before, path),
        };
        if !arrival.known && arrival.key.is_some() {
            self.index(&body, placed.predecessor, placed.auth_events.clone()).await?;
        }
        let mut staged = StagedEvent {
            outcome: placed.outcome,
            key: arrival.key,
            group: Some(after.0),
            depth: None,
            replaces: placed.replaces.clone(),
            changes: Vec::new(),
            current: self.view.group,
            redaction: Redaction::None,
            txn: None,
            known: arrival.known,
            gaps: Gaps { opened: placed.gaps.clone(), wanted: !arrival.anew, closed: true },
            body,
        };
        if placed.outcome == Outcome::Accepted {
            staged.redaction = match placed.redacted_by.clone() {
                Some(by) => Redaction::By(by, Arc::new(arrival.pdu.redacted())),
                None => redact::stage(self, &arrival.pdu).await?,
            };
            if !placed.is_past {
                self.make_current(&placed, after).await?;
            }
            staged.depth = Some(placed.depth);
            staged.current = self.view.group;
            staged.changes = placed.changes;
        }
        self.events.push(staged);
        Ok(())
    }

    /// A group of the state before the event, made now if there is none: from one that is near, or
    /// by itself if that is less to write. What another server tells to be the state costs no more
    /// than it has told.
    async fn group_before(&mut self, placed: &Placed) -> Result<(StateGroup, Path), RoomError> {
        if let Some(group) = placed.before_group {
            return Ok((group, placed.path.clone()));
        }
        let near = StateGroup(placed.path.first().map_or(0, |node| node.number));
        let map = {
            let (groups, near) = (self.inner.loader.groups.clone(), near);
            let read = self.inner.setup.store.read(move |snapshot| groups.map(snapshot, near));
            let map: StateMap = read.await?;
            map
        };
        let changes = difference(&map, &placed.before);
        if changes.len() <= placed.before.len() {
            return self.child_group((Some(near), &placed.path), changes).await;
        }
        let number = self.inner.numbering.next_group().await?;
        let entries = placed.before.iter().map(|(key, event)| (key.0, event.0)).collect();
        let path = vec![Arc::new(Node::root(number.0, entries))];
        self.groups.push(NewGroup { parent: None, node: Arc::clone(&path[0]) });
        Ok((number, path))
    }

    /// Makes a group from another one by some changes, without making it current.
    async fn child_group(
        &mut self,
        (parent, path): (Option<StateGroup>, &Path),
        changes: Vec<(i64, i64)>,
    ) -> Result<(StateGroup, Path), RoomError> {
        let number = self.inner.numbering.next_group().await?;
        let node = Arc::new(Node::child(number.0, path, changes));
        let path = Node::path_of(&node, path);
        self.groups.push(NewGroup { parent, node });
        Ok((number, path))
    }

    /// Makes the state with the event the current one.
    async fn make_current(
        &mut self,
        placed: &Placed,
        (after, after_path): (StateGroup, Path),
    ) -> Result<(), RoomError> {
        self.view.depth = placed.depth.max(self.view.depth);
        self.view.tips = placed.tips.iter().cloned().collect::<SmallVec<_>>();
        for change in &placed.changes {
            self.view.apply(change, &self.inner.loader.server);
        }
        if self.view.tips.len() == 1 {
            self.view.group = after;
            self.path = after_path;
        } else if !placed.changes.is_empty() {
            let changes = placed.changes.iter().map(|change| {
                (change.key.0, change.new_number().map_or(REMOVED, |number| number.0))
            });
            self.add_group(changes.collect()).await?;
        }
        Ok(())
    }
}

/// What makes one state from another.
fn difference(from: &StateMap, to: &StateMap) -> Vec<(i64, i64)> {
    let keys = from.diff(to).map(|item| crate::resolve::diff_key(&item));
    let entry = |key: proto::number::StateKeyNumber| {
        (key.0, to.get(&key).map_or(REMOVED, |number| number.0))
    };
    keys.map(entry).collect()
}
