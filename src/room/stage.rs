//! Events on their way into a room, before the store has them: each is completed, authorized and
//! put on a working copy of the tip, so that the next one sees it. Nothing of this is visible to
//! anybody until the change is committed.

use std::{collections::HashMap, sync::Arc};

use proto::{
    number::{EventNumber, StateGroup, StateKeyNumber},
    pdu::Pdu,
};
use ruma::{OwnedEventId, OwnedRoomAliasId, OwnedUserId};
use store::{
    numbers::{CREATE, Promise},
    room::{
        chains::{self, Link},
        event::{Body, Event, Outcome},
        events,
        groups::NewGroup,
        levels::{Node, Path},
    },
};

use crate::{
    RoomError, RoomView,
    keys::Key,
    ports::Rows,
    reach::Reach,
    room::Core,
    rooms::Inner,
    tip::{Pending, Tip},
    txn::StagedTxn,
    view::KeyChange,
};

/// An event that a change adds, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct StagedEvent {
    pub(crate) body: Arc<Body>,
    pub(crate) outcome: Outcome,
    pub(crate) key: Option<StateKeyNumber>,
    /// The state after it.
    pub(crate) group: Option<StateGroup>,
    /// Its depth in the timeline by our own count, if it gets a place there.
    pub(crate) depth: Option<i64>,
    /// The state event that it replaces.
    pub(crate) replaces: Option<Arc<Body>>,
    /// What it changes in the current state, and the group that the state is then.
    pub(crate) changes: Vec<KeyChange>,
    pub(crate) current: StateGroup,
    pub(crate) redaction: Redaction,
    pub(crate) txn: Option<StagedTxn>,
    /// Whether the store has the event already, as an outlier.
    pub(crate) known: bool,
    pub(crate) gaps: Gaps,
}

/// What an event does to the room's backward extremities.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// Previous events that are not here.
    pub(crate) opened: Vec<OwnedEventId>,
    /// Whether they shall be had as soon as somebody can give them.
    pub(crate) wanted: bool,
    /// Whether the event itself may have been missing: another server's.
    pub(crate) closed: bool,
}

/// What a redaction does to others.
#[derive(Clone, Debug, Default)]
pub(crate) enum Redaction {
    /// Nothing: the event is none, or may not be applied.
    #[default]
    None,
    /// Its target is replaced by its redacted form.
    Of(EventNumber, Arc<Pdu>),
    /// Its target is not here yet.
    Waits(OwnedEventId),
    /// The event itself was waited for by a redaction.
    By(Arc<Body>, Arc<Pdu>),
}

/// Events on their way into one room.
pub(crate) struct Stage<'r> {
    pub(crate) inner: &'r Inner,
    pub(crate) core: Option<Arc<Core>>,
    /// The revision that the change is made from; `None` for a new room.
    pub(crate) from_revision: Option<u64>,
    pub(crate) view: RoomView,
    pub(crate) path: Path,
    pub(crate) before: &'r Tip,
    pub(crate) pending: Vec<Pending>,
    pub(crate) chain_ends: HashMap<i64, i64>,
    pub(crate) events: Vec<StagedEvent>,
    pub(crate) groups: Vec<NewGroup>,
    pub(crate) links: Vec<Arc<Reach>>,
    pub(crate) extras: Extras,
    /// Numbers that the change must give.
    pub(crate) promises: Vec<Promise>,
    /// Whether nobody knows the room before this change.
    pub(crate) is_new: bool,
}

/// What a change brings besides events.
#[derive(Default)]
pub(crate) struct Extras {
    /// An alias that points at the room from now on, and who made it.
    pub(crate) alias: Option<(OwnedRoomAliasId, OwnedUserId)>,
    pub(crate) rows: Vec<Rows>,
}

/// A room that does not exist yet.
pub(crate) struct NewRoom {
    pub(crate) create: Arc<Body>,
}

impl<'r> Stage<'r> {
    /// Begins a room whose tip shows nothing but its create event.
    pub(crate) fn new_room(
        inner: &'r Inner,
        core: &Arc<Core>,
        tip: &'r Tip,
        NewRoom { create }: NewRoom,
    ) -> Self {
        let mut stage = Self::new(inner, core, tip);
        stage.from_revision = None;
        stage.is_new = true;
        let group = stage.view.group;
        let node = Arc::clone(&stage.path[0]);
        stage.groups.push(NewGroup { parent: None, node });
        let reach = Arc::new(Reach::new(create.number(), &[], None));
        stage.links.push(Arc::clone(&reach));
        let revision = stage.view.revision;
        let body = Arc::clone(&create);
        stage.pending.push(Pending { revision, body, reach: Some(reach) });
        stage.events.push(StagedEvent {
            outcome: Outcome::Accepted,
            key: Some(CREATE),
            group: Some(group),
            depth: Some(stage.view.depth),
            replaces: None,
            changes: vec![KeyChange { key: CREATE, old: None, new: Some(Arc::clone(&create)) }],
            current: group,
            redaction: Redaction::None,
            txn: None,
            known: false,
            gaps: Gaps::default(),
            body: create,
        });
        stage
    }

    /// Begins on top of a room's tip.
    pub(crate) fn new(inner: &'r Inner, core: &Arc<Core>, tip: &'r Tip) -> Self {
        let mut view = RoomView::clone(&tip.view);
        let from_revision = view.revision;
        view.revision += 1;
        Self {
            inner,
            core: Some(Arc::clone(core)),
            from_revision: Some(from_revision),
            view,
            path: tip.path.clone(),
            before: tip,
            pending: Vec::new(),
            chain_ends: HashMap::new(),
            events: Vec::new(),
            groups: Vec::new(),
            links: Vec::new(),
            extras: Extras::default(),
            promises: Vec::new(),
            is_new: false,
        }
    }

    /// The number of a state event's key, which the change gives if it is new.
    pub(crate) async fn key_of(&mut self, pdu: &Pdu) -> Result<Option<StateKeyNumber>, RoomError> {
        let Some(key) = self.inner.key_of(pdu).await? else { return Ok(None) };
        let number = key.number;
        self.hold(key.promise);
        Ok(Some(number))
    }

    /// Has the change keep a promise.
    pub(crate) fn hold(&mut self, promise: Option<Promise>) {
        self.promises.extend(promise.filter(|new| !self.promises.iter().any(|held| held.is(new))));
    }

    /// Makes a new group from the current one by some changes, and makes it current.
    pub(crate) async fn add_group(&mut self, changes: Vec<(i64, i64)>) -> Result<(), RoomError> {
        let number = self.inner.numbering.next_group().await?;
        let node = Arc::new(Node::child(number.0, &self.path, changes));
        let parent = (!self.path.is_empty()).then_some(self.view.group);
        self.path = Node::path_of(&node, &self.path);
        self.view.group = number;
        self.groups.push(NewGroup { parent, node });
        Ok(())
    }

    /// Puts a state event into the auth chain index, if it can be an auth event of others. It
    /// continues the chain of its predecessor, if that is one of its auth events.
    pub(crate) async fn index(
        &mut self,
        body: &Arc<Body>,
        predecessor: Option<EventNumber>,
        auth_events: Vec<EventNumber>,
    ) -> Result<(), RoomError> {
        let reach = if crate::reach::is_indexed(body.pdu()) {
            let auth = self.reaches(&auth_events).await?;
            let continued = auth.iter().find(|reach| Some(reach.event()) == predecessor);
            let continues = match continued {
                Some(reach) => self.continues(&reach.link).await?,
                None => None,
            };
            let reach = Arc::new(Reach::new(body.number(), &auth, continues));
            self.chain_ends.insert(reach.link.chain, reach.link.sequence);
            self.links.push(Arc::clone(&reach));
            Some(reach)
        } else {
            None
        };
        let revision = self.view.revision;
        self.pending.push(Pending { revision, body: Arc::clone(body), reach });
        Ok(())
    }

    /// Whether an event is the last of its chain, so that another one can go on behind it.
    async fn continues(&mut self, link: &Link) -> Result<Option<(i64, i64)>, RoomError> {
        let known = self.chain_ends.get(&link.chain).or(self.before.chain_ends.get(&link.chain));
        let last = if let Some(last) = known {
            *last
        } else {
            let (store, chain) = (&self.inner.setup.store, link.chain);
            store.read(move |snapshot| chains::last_sequence(snapshot, chain)).await?
        };
        Ok((last == link.sequence).then_some((link.chain, last)))
    }

    /// The places of these events in the auth chain index.
    pub(crate) async fn reaches(
        &self,
        events: &[EventNumber],
    ) -> Result<Vec<Arc<Reach>>, RoomError> {
        let mut reaches = Vec::with_capacity(events.len());
        let mut missing = Vec::new();
        for event in events {
            let pending = self.pending(*event).and_then(|pending| pending.reach.clone());
            match pending.or_else(|| self.inner.reaches.get(*event)) {
                Some(reach) => reaches.push(reach),
                None => missing.push(*event),
            }
        }
        if !missing.is_empty() {
            let chains = self.inner.chains.clone();
            let read = self
                .inner
                .setup
                .store
                .read(move |snapshot| Reach::load_all(snapshot, &chains, &missing));
            for reach in read.await? {
                self.inner.reaches.keep(&reach);
                reaches.push(reach);
            }
        }
        Ok(reaches)
    }

    /// The event of the working state under a key.
    pub(crate) async fn state_body(
        &self,
        key: StateKeyNumber,
    ) -> Result<Option<Arc<Body>>, RoomError> {
        match self.view.state_event(key) {
            Some(number) => self.body(key, number).await.map(Some),
            None => Ok(None),
        }
    }

    /// An event of the working state.
    pub(crate) async fn body(
        &self,
        key: StateKeyNumber,
        number: EventNumber,
    ) -> Result<Arc<Body>, RoomError> {
        if let Some(body) = self.view.pinned(key)
            && body.number() == number
        {
            return Ok(Arc::clone(body));
        }
        if let Some(pending) = self.pending(number) {
            return Ok(Arc::clone(&pending.body));
        }
        self.inner.body(number).await
    }

    fn pending(&self, number: EventNumber) -> Option<&Pending> {
        let own = self.pending.iter().rev().find(|pending| pending.body.number() == number);
        own.or_else(|| self.before.pending(number))
    }
}

impl Inner {
    /// The key of a state event, with a promise if it is new.
    pub(crate) async fn key_of(&self, pdu: &Pdu) -> Result<Option<Key>, RoomError> {
        let Some(state_key) = pdu.state_key() else { return Ok(None) };
        let pair = (pdu.type_str().to_owned(), state_key.to_owned());
        Ok(self.promise_keys(&[pair]).await?.pop())
    }

    /// A stored event.
    pub(crate) async fn body(&self, number: EventNumber) -> Result<Arc<Body>, RoomError> {
        if let Some(event) = self.loader.events.get(number) {
            return Ok(Arc::clone(&event.body));
        }
        let cache = self.loader.events.clone();
        let read = self.setup.store.read(move |snapshot| events::load(snapshot, &cache, number));
        let event: Arc<Event> = read.await?;
        Ok(Arc::clone(&event.body))
    }
}
