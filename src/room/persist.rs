//! A staged change as rows: the one place where rooms write.
//!
//! Invariant: the closure may run more than once, so it only reads what it captured; whatever it
//! makes visible happens in the callback after the commit.

use std::sync::Arc;

use proto::number::{Position, StateGroup};
use ruma::{OwnedRoomAliasId, OwnedUserId};
use store::{
    WriteTxn,
    log::Change,
    numbers::Promise,
    room::{
        aliases::{self, AliasRow},
        chains,
        changes::{self, StateChange},
        directory,
        event::{Event, Outcome, Place},
        events, gaps,
        groups::{self, NewGroup},
        members::{self, MemberRow},
        redactions,
        rooms::{self, RoomRow},
        txns,
    },
};

use crate::{
    RoomError, RoomView,
    ports::Rows,
    reach::Reach,
    room::Flight,
    rooms::Rooms,
    stage::{Redaction, StagedEvent},
    users::UserChange,
    view::KeyChange,
};

/// A change of one room, ready to be written.
pub(crate) struct RoomChange {
    pub(crate) rooms: Rooms,
    pub(crate) flight: Arc<Flight>,
    /// The revision that it was made from; `None` for a room without a row.
    pub(crate) from_revision: Option<u64>,
    /// Whether nobody knows the room before this change.
    pub(crate) is_new: bool,
    pub(crate) view: Arc<RoomView>,
    pub(crate) events: Vec<StagedEvent>,
    pub(crate) groups: Vec<NewGroup>,
    pub(crate) links: Vec<Arc<Reach>>,
    /// The directory's summary of the room, if it is published.
    pub(crate) summary: Option<Vec<u8>>,
    pub(crate) rows: Vec<Rows>,
    /// An alias that points at the room from now on, and who made it.
    pub(crate) alias: Option<(OwnedRoomAliasId, OwnedUserId)>,
    /// Numbers that it gives to what is new. They are promised as long as the change is in flight.
    pub(crate) promises: Vec<Promise>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) position: Position,
}

/// Why it was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The room has changed meanwhile, something new has got another number than was promised, or
    /// the transaction id was used: what is there now is to be looked at.
    Stale,
    /// Anything else.
    Failed(RoomError),
}

impl From<store::Error> for WriteError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Exists(_) | store::Error::Moved => Self::Stale,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<WriteError> for RoomError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Failed(error) => error,
            WriteError::Stale => Self::Busy,
        }
    }
}

impl From<RoomError> for WriteError {
    fn from(error: RoomError) -> Self {
        Self::Failed(error)
    }
}

/// What becomes visible after the commit.
#[derive(Default)]
struct Effects {
    events: Vec<(Arc<Event>, bool)>,
    users: Vec<UserChange>,
}

impl RoomChange {
    /// Writes everything. Step by step: the numbers of what is new, the events with their places,
    /// what they change in the current state, the room's row, which counts only if the room is
    /// still what the change was made from.
    pub(crate) fn write(self: &Arc<Self>, txn: &mut WriteTxn<'_>) -> Result<Written, WriteError> {
        let mut effects = Effects::default();
        for promise in &self.promises {
            txn.keep(promise)?;
        }
        for group in &self.groups {
            groups::insert(txn, group)?;
        }
        for reach in &self.links {
            chains::insert(txn, &reach.link)?;
        }
        for staged in &self.events {
            self.write_event(txn, staged, &mut effects)?;
        }
        for rows in &self.rows {
            rows(txn)?;
        }
        if let Some((alias, creator)) = &self.alias {
            let row = AliasRow { room: self.view.number, creator: txn.intern_user(creator)? };
            if !aliases::insert(txn, alias, row)? {
                return Err(RoomError::AliasTaken.into());
            }
        }
        let position = txn.newest_position();
        self.write_room(txn, position)?;
        let change = Arc::clone(self);
        txn.on_commit(Box::new(move || change.show(effects, position)));
        Ok(Written { position })
    }

    fn write_room(&self, txn: &mut WriteTxn<'_>, position: Position) -> Result<(), WriteError> {
        let view = &self.view;
        let row = RoomRow {
            number: view.number,
            version: view.rules.id.to_owned(),
            revision: view.revision,
            group: view.group,
            depth: view.depth,
            tips: view.tips.iter().map(|tip| tip.number()).collect(),
            position,
        };
        match self.from_revision {
            None => rooms::insert(txn, &row)?,
            Some(from) => rooms::update(txn, &row, from)?,
        }
        if let Some(summary) = &self.summary {
            let joined = i64::try_from(view.joined_count()).unwrap_or(i64::MAX);
            directory::set(txn, view.number, joined, summary)?;
        }
        Ok(())
    }

    fn write_event(
        &self,
        txn: &mut WriteTxn<'_>,
        staged: &StagedEvent,
        effects: &mut Effects,
    ) -> Result<(), WriteError> {
        let place = staged.depth.map(|depth| {
            let position = i64::try_from(txn.next_position().0).unwrap_or(i64::MAX);
            Place { depth, position }
        });
        let event = Arc::new(Event {
            room: self.view.number,
            outcome: staged.outcome,
            key: staged.key,
            group: staged.group,
            place,
            replaces: staged.replaces.clone(),
            body: Arc::clone(&staged.body),
        });
        if staged.known {
            events::update_place(txn, &event)?;
        } else {
            events::insert(txn, &event)?;
        }
        if let Some(staged) = &staged.txn {
            txns::insert(txn, event.number(), staged.hash, &staged.client)?;
        }
        write_redaction(txn, &staged.redaction, &event)?;
        if staged.gaps.closed {
            gaps::remove(txn, self.view.number, event.event_id())?;
        }
        for missing in &staged.gaps.opened {
            gaps::insert(txn, self.view.number, missing, (event.number(), staged.gaps.wanted))?;
        }
        if place.is_some() {
            let client = staged.txn.as_ref().map(|staged| Arc::clone(&staged.client));
            txn.record(Change::Timeline {
                room: self.view.number,
                event: Arc::clone(&event),
                txn: client,
            });
        }
        for change in &staged.changes {
            self.write_change(txn, &event, (change, staged.current), effects)?;
        }
        effects.events.push((event, staged.known));
        Ok(())
    }

    fn write_change(
        &self,
        txn: &mut WriteTxn<'_>,
        cause: &Arc<Event>,
        (change, group): (&KeyChange, StateGroup),
        effects: &mut Effects,
    ) -> Result<(), WriteError> {
        let room = self.view.number;
        let position = txn.next_position();
        let (key, old, new) = (change.key, change.old, change.new_number());
        let row = StateChange { position, room, key, old, new, group };
        changes::insert(txn, &row)?;
        if let Some((user, member)) = change.member() {
            match &member {
                Some(member) => {
                    let (membership, event) = (member.membership, member.event);
                    members::set(txn, &MemberRow { room, user, membership, event, position })?;
                }
                None => members::remove(txn, room, user)?,
            }
            effects.users.push(UserChange { user, member, position });
        }
        let event = change.new.as_ref().map(|body| {
            if body.number() == cause.number() {
                return Arc::clone(cause);
            }
            // Resolution brought back an event that is in the store already; its place does not
            // matter here.
            let (outcome, key) = (Outcome::Accepted, Some(change.key));
            let body = Arc::clone(body);
            Arc::new(Event { room, outcome, key, group: None, place: None, replaces: None, body })
        });
        txn.record(Change::State { room, key, old, new, event });
        Ok(())
    }

    /// Makes the committed change visible. Runs on the writer's thread, in the order of commits.
    fn show(&self, effects: Effects, position: Position) {
        let inner = &self.rooms.inner;
        for group in &self.groups {
            inner.loader.groups.keep(group);
        }
        for reach in &self.links {
            inner.chains.keep(&reach.link);
            inner.reaches.keep(reach);
        }
        for (event, known) in &effects.events {
            inner.meters.count(event, self.rooms.is_local(event.body.pdu().sender()));
            if *known {
                inner.loader.events.replace_committed(event);
            } else {
                inner.loader.events.insert_committed(event);
            }
        }
        for staged in &self.events {
            let cache = &inner.loader.events;
            match &staged.redaction {
                Redaction::Of(target, redacted) => {
                    cache.redact(*target, Arc::clone(redacted), Arc::clone(&staged.body));
                }
                Redaction::By(because, redacted) => {
                    let number = staged.body.number();
                    cache.redact(number, Arc::clone(redacted), Arc::clone(because));
                }
                Redaction::None | Redaction::Waits(_) => {}
            }
            if let Some(txn) = &staged.txn {
                inner.txns.keep(txn.hash, staged.body.event_id().to_owned());
            }
        }
        for change in effects.users {
            inner.users.apply(&self.view, change);
        }
        let core = self.flight.core();
        core.show(Arc::clone(&self.view), position);
        if self.is_new {
            inner.adopt(Arc::clone(core));
        }
        self.flight.commit();
    }
}

fn write_redaction(
    txn: &mut WriteTxn<'_>,
    redaction: &Redaction,
    event: &Event,
) -> Result<(), store::Error> {
    match redaction {
        Redaction::None => Ok(()),
        Redaction::Of(target, redacted) => events::redact(txn, *target, redacted, event.number()),
        Redaction::Waits(target) => redactions::insert(txn, target, event.number()),
        Redaction::By(because, redacted) => {
            events::redact(txn, event.number(), redacted, because.number())?;
            redactions::remove(txn, event.event_id())
        }
    }
}
