//! The room queue: orders one room's work.
//!
//! Under the room's lock an event is completed, authorized and put on the speculative tip, and
//! takes its place in the store writer's order; the commit is awaited outside the lock, so that
//! many events of one room share a commit. In the transaction only the room's revision is checked.
//! Who fails there drops the tip; the room is loaded again and the event tried again, at most
//! [`ATTEMPTS_MAX`] times.

use std::sync::Arc;

use proto::{draft::Draft, number::Position};
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use store::room::{
    event::{Body, Event, Outcome},
    txns::{self, TxnHash},
};
use tokio::sync::MutexGuard;

use crate::{
    RoomError, Rooms,
    persist::{RoomChange, WriteError, Written},
    ports::Rows,
    room::{Core, Flight, Room},
    rooms::Inner,
    stage::{Redaction, Stage},
    tip::Tip,
    txn::TxnKey,
};

/// How often a change is tried when the room changes under it.
pub const ATTEMPTS_MAX: usize = 5;

/// A local event on its way into a room.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event: who sends what. The sender must be a user of this server.
    pub draft: Draft,
    /// When it was sent, if not now: an appservice may say so.
    pub timestamp_ms: Option<u64>,
    /// The client's idempotency key.
    pub txn: Option<TxnKey>,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The event's id; with a transaction id that was used before, that of the event then.
    pub event_id: OwnedEventId,
    /// The newest position of its change, committed and published.
    pub position: Position,
}

/// What is done under a room's lock. It may run more than once.
pub(crate) trait Work: Sync {
    /// What it finds out; an event that is there already, or the one that it added.
    fn run(
        &self,
        stage: &mut Stage<'_>,
    ) -> impl Future<Output = Result<OwnedEventId, RoomError>> + Send;
}

/// Whether an event says what a draft says, by the same sender.
pub(crate) fn says_the_same(body: &Body, draft: &Draft) -> bool {
    let content = proto::json::canonical(draft.content.get(), body.pdu().rules().json);
    *body.pdu().sender() == *draft.sender
        && content.is_ok_and(|content| content == body.pdu().content())
}

/// One event, as it was submitted.
struct SubmitOne<'s> {
    submission: &'s Submission,
    timestamp_ms: u64,
}

impl Work for SubmitOne<'_> {
    async fn run(&self, stage: &mut Stage<'_>) -> Result<OwnedEventId, RoomError> {
        let draft = &self.submission.draft;
        if draft.event_type == "m.room.create" {
            // Where it is to give the room its id, it does not even have the form of one.
            return Err(RoomError::Forbidden("the room is created already"));
        }
        if let Some(same) = stage.find_same(draft).await? {
            return Ok(same);
        }
        crate::alias::check_canonical(stage, draft).await?;
        let body = stage.add(draft, self.timestamp_ms).await?;
        let txn = self.submission.txn.as_ref().map(|key| key.stage(&self.submission.room_id));
        stage.set_txn(txn);
        Ok(body.event_id().to_owned())
    }
}

impl Rooms {
    /// Puts a local event into its room, durably. The only way for local events, whatever they are.
    ///
    /// A state event that says what the state says already is not sent again: the answer is the
    /// event that says so. A member event is treated as the membership endpoints would.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, RoomError> {
        if !self.is_local(&submission.draft.sender) {
            return Err(RoomError::Forbidden("the sender is not a user of this server"));
        }
        let is_state = submission.draft.state_key.is_some();
        if is_state && submission.draft.event_type == "m.room.redaction" {
            // It would redact as any other does, and nobody would have asked whether the sender
            // may.
            return Err(RoomError::Forbidden("a redaction is no state"));
        }
        let hash = submission.txn.as_ref().map(|txn| txn.stage(&submission.room_id).hash);
        if let Some(event_id) = hash.and_then(|hash| self.inner.txns.get(&hash)) {
            return Ok(Submitted { event_id, position: self.inner.setup.store.position() });
        }
        match (self.submit_new(submission).await, hash) {
            (Err(error), Some(hash)) => self.sent_before(hash, error).await,
            (submitted, _) => submitted,
        }
    }

    /// What was sent with a transaction id before, though it would not be accepted now: whoever
    /// asks again because an answer was lost hears that one. Otherwise the error.
    pub(crate) async fn sent_before(
        &self,
        hash: TxnHash,
        error: RoomError,
    ) -> Result<Submitted, RoomError> {
        match self.inner.find_txn(hash).await? {
            Some(event_id) => {
                Ok(Submitted { event_id, position: self.inner.setup.store.position() })
            }
            None => Err(error),
        }
    }

    async fn submit_new(&self, submission: Submission) -> Result<Submitted, RoomError> {
        if submission.draft.event_type == "m.room.member" && submission.draft.state_key.is_some() {
            return self.submit_member(submission).await;
        }
        let room = self.known(&submission.room_id).await?;
        let timestamp_ms = submission.timestamp_ms.unwrap_or_else(|| self.now_ms());
        self.change(&room, &SubmitOne { submission: &submission, timestamp_ms }).await
    }

    /// The event that was sent with this key before.
    pub async fn find_txn(
        &self,
        room_id: &RoomId,
        txn: &TxnKey,
    ) -> Result<Option<OwnedEventId>, RoomError> {
        self.inner.find_txn(txn.stage(room_id).hash).await
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.inner.setup.clock.now_ms()
    }

    /// Does some work under the room's lock and commits what it staged.
    pub(crate) async fn change(
        &self,
        room: &Room,
        work: &impl Work,
    ) -> Result<Submitted, RoomError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(&room.0, work).await {
                Ok(submitted) => return Ok(submitted),
                Err(WriteError::Stale) => room.0.break_tip(),
                Err(WriteError::Failed(error)) => return Err(error),
            }
        }
        Err(RoomError::Busy)
    }

    async fn attempt(&self, core: &Arc<Core>, work: &impl Work) -> Result<Submitted, WriteError> {
        let mut tip = self.lock(core).await?;
        let mut stage = Stage::new(&self.inner, core, &tip);
        let event_id = work.run(&mut stage).await?;
        let Some(staged) = stage.finish(self) else {
            return Ok(Submitted { event_id, position: self.inner.setup.store.position() });
        };
        let change = Arc::clone(&staged.change);
        let txn = change.events.iter().find_map(|event| event.txn.as_ref()).map(|txn| txn.hash);
        let commit = self.inner.setup.store.enqueue(move |txn| change.write(txn)).await?;
        staged.put_on(&mut tip);
        drop(tip);
        let error = match commit.await {
            Ok(Written { position }) => return Ok(Submitted { event_id, position }),
            Err(error) => error,
        };
        core.break_tip();
        if matches!(error, WriteError::Stale)
            && let Some(txn) = txn
            && let Some(event_id) = self.inner.find_txn(txn).await?
        {
            // It was sent with this transaction id before.
            return Ok(Submitted { event_id, position: self.inner.setup.store.position() });
        }
        Err(error)
    }

    /// Commits a stage and waits for it, with the lock held: for a room that nobody else knows yet.
    pub(crate) async fn commit_stage(
        &self,
        staged: Staged,
        tip: &mut Tip,
    ) -> Result<Written, WriteError> {
        let change = Arc::clone(&staged.change);
        let written = self.inner.setup.store.write(move |txn| change.write(txn)).await;
        staged.put_on(tip);
        written
    }

    /// Takes the room's lock, with a tip that can be built on.
    pub(crate) async fn lock<'c>(&self, core: &'c Core) -> Result<MutexGuard<'c, Tip>, RoomError> {
        let mut tip = core.tip.lock().await;
        if core.is_broken() {
            core.settle().await;
            let (loader, number) = (self.inner.loader.clone(), core.number);
            let load = move |snapshot: &mut store::Snapshot<'_>| loader.load(snapshot, number);
            let loaded = self.inner.setup.store.read(load).await?;
            let loaded = loaded.ok_or(RoomError::RoomNotFound)?;
            *tip = loaded.tip;
            core.reset(Arc::clone(&tip.view));
        }
        tip.prune(core.view().revision);
        Ok(tip)
    }
}

/// What a stage has become: a change for the writer, and what the tip will be.
pub(crate) struct Staged {
    pub(crate) change: Arc<RoomChange>,
    tip: Tip,
}

impl Staged {
    pub(crate) fn put_on(self, tip: &mut Tip) {
        tip.view = self.tip.view;
        tip.path = self.tip.path;
        tip.pending.extend(self.tip.pending);
        tip.chain_ends.extend(self.tip.chain_ends);
    }
}

impl Stage<'_> {
    /// The event that says already what a state event would say: same sender, same content.
    pub(crate) async fn find_same(
        &mut self,
        draft: &Draft,
    ) -> Result<Option<OwnedEventId>, RoomError> {
        let Some(state_key) = &draft.state_key else { return Ok(None) };
        let pair = (draft.event_type.clone(), state_key.clone());
        // A new key is promised here already, so that it is looked for once.
        let Some(key) = self.inner.promise_keys(&[pair]).await?.pop() else { return Ok(None) };
        self.hold(key.promise);
        let Some(body) = self.state_body(key.number).await? else { return Ok(None) };
        Ok(says_the_same(&body, draft).then(|| body.event_id().to_owned()))
    }

    /// What the newest event was sent with.
    pub(crate) fn set_txn(&mut self, txn: Option<crate::txn::StagedTxn>) {
        if let Some(event) = self.events.last_mut() {
            event.txn = txn;
        }
    }

    /// Ends the stage; `None` if nothing was added.
    pub(crate) fn finish(mut self, rooms: &Rooms) -> Option<Staged> {
        if self.events.is_empty() {
            return None;
        }
        let mut rows = std::mem::take(&mut self.extras.rows);
        rows.extend(self.rows());
        let redacted = self.redact();
        let core = self.core.as_ref()?;
        let view = Arc::new(self.view);
        let changed = redacted || self.events.iter().any(|event| !event.changes.is_empty());
        let summary = (changed && core.is_published()).then(|| crate::directory::summary(&view));
        let change = RoomChange {
            rooms: rooms.clone(),
            flight: Flight::begin(core),
            from_revision: self.from_revision,
            is_new: self.is_new,
            view: Arc::clone(&view),
            events: self.events,
            groups: self.groups,
            links: self.links,
            summary,
            rows,
            alias: self.extras.alias,
            promises: self.promises,
        };
        let mut tip = Tip::new(view, self.path);
        tip.pending = self.pending;
        tip.chain_ends = self.chain_ends;
        Some(Staged { change: Arc::new(change), tip })
    }

    /// Shows redacted what the change redacts: the bodies that others hold learn of it at the
    /// commit, but what is written with the change must not say what is to be gone. Says whether
    /// anything that matters to the room is redacted.
    fn redact(&mut self) -> bool {
        let mut matters = false;
        for event in &self.events {
            let (number, redacted, because) = match &event.redaction {
                Redaction::Of(number, redacted) => (*number, redacted, &event.body),
                Redaction::By(because, redacted) => (event.body.number(), redacted, because),
                Redaction::None | Redaction::Waits(_) => continue,
            };
            let (redacted, because) = (Arc::clone(redacted), Some(Arc::clone(because)));
            matters |= self.view.redact(Body::new_redacted(number, redacted, because));
        }
        matters
    }

    /// The rows that count the events for those whom they notify.
    fn rows(&self) -> Vec<Rows> {
        let Some(push) = &self.inner.setup.push else { return Vec::new() };
        let placed = self.events.iter().filter(|event| event.depth.is_some());
        let evaluate = |body: &Arc<Body>| {
            let event = Event {
                room: self.view.number,
                outcome: Outcome::Accepted,
                key: None,
                group: None,
                place: None,
                replaces: None,
                body: Arc::clone(body),
            };
            push.evaluate(&Arc::new(event), &self.view)
        };
        placed.filter_map(|event| evaluate(&event.body)).collect()
    }
}

impl Inner {
    /// The event that was sent with this before.
    pub(crate) async fn find_txn(&self, hash: TxnHash) -> Result<Option<OwnedEventId>, RoomError> {
        if let Some(event) = self.txns.get(&hash) {
            return Ok(Some(event));
        }
        Ok(self.setup.store.read(move |snapshot| txns::find(snapshot, hash)).await?)
    }
}
