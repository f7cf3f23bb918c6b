//! The handle, and a request's course: find the user, look, answer or wait and look again.

use std::sync::Arc;

use bytes::Bytes;
use proto::number::Position;
use tokio::time::Instant;
use user::Requester;

use crate::{
    Error, SyncRequest, TIMEOUT_MAX,
    filter::{LazyMembers, SyncFilter},
    inner::{Inner, Parts},
    lazy::Holder,
    stream::Look,
    token::{Head, SyncToken},
    write::{self, Style},
};

/// Answers `/sync`. Clones are cheap and mean the same.
#[derive(Clone)]
pub struct Sync {
    inner: Arc<Inner>,
}

impl Sync {
    /// Begins to listen to the store and to what is not durable.
    pub fn new(parts: Parts) -> Self {
        let floor = parts.store.log().floor();
        Self::beginning_at(parts, floor)
    }

    /// The same with nothing in memory that is at or before a position, as after a restart.
    pub fn beginning_at(parts: Parts, position: Position) -> Self {
        let (store, ephemeral) = (parts.store.clone(), parts.ephemeral.clone());
        let head = Head { position, epoch: ephemeral.epoch(), ephemeral: ephemeral.counter() };
        let inner = Arc::new(Inner::new(parts, head));
        // The store must not keep itself alive through its own listener.
        let listening = Arc::downgrade(&inner);
        store.add_listener(Arc::new(move |_| {
            if let Some(inner) = listening.upgrade() {
                inner.notifier.catch_up(inner.parts.store.log());
            }
        }));
        let listening = Arc::downgrade(&inner);
        ephemeral.add_listener(Arc::new(move |counter, change| {
            if let Some(inner) = listening.upgrade() {
                inner.notifier.publish_ephemeral(counter, change);
            }
        }));
        inner.notifier.catch_up(store.log());
        inner.notifier.advance_ephemeral(ephemeral.counter());
        Self { inner }
    }

    /// The token of somebody who knows everything up to now.
    pub fn now(&self) -> SyncToken {
        SyncToken::at(self.inner.notifier.head())
    }

    /// Who syncs.
    pub fn stats(&self) -> Stats {
        Stats { waiting: self.inner.waiting.get(), users: self.inner.notifier.users() }
    }

    /// Answers one request, after waiting for something to tell if it asked for that.
    ///
    /// # Errors
    ///
    /// A token or filter that is not valid; a database that does not answer.
    pub async fn run(&self, requester: &Requester, request: SyncRequest) -> Result<Bytes, Error> {
        let inner = &self.inner;
        let filter = inner.filter(requester, request.filter.as_deref()).await?;
        // Her own change is committed, so the head will be there.
        inner.notifier.reach(inner.parts.store.position(), inner.parts.store.log()).await;
        let head = inner.notifier.head();
        let since =
            request.since.as_deref().map(|since| SyncToken::parse(since, head)).transpose()?;
        // Held until the answer: whoever waits here is online.
        let _syncing = inner.parts.presence.syncing(requester, &request.set_presence).await?;
        let course = Course { inner, requester, filter, request, since };
        match since {
            Some(since) if !course.request.full_state => course.wait(since).await,
            _ => course.answer_at_once().await,
        }
    }
}

/// Who syncs at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Requests that wait for something to tell.
    pub waiting: u64,
    /// Users whose changes are followed because they synced lately.
    pub users: usize,
}

/// One request on its way to an answer.
struct Course<'a> {
    inner: &'a Arc<Inner>,
    requester: &'a Requester,
    filter: Arc<SyncFilter>,
    request: SyncRequest,
    since: Option<SyncToken>,
}

impl Course<'_> {
    /// Looks once. An initial sync, and one that wants the full state, is always answered.
    async fn answer_at_once(&self) -> Result<Bytes, Error> {
        let answer = self.look(self.since).await?.gather().await?;
        Ok(write::write(&answer, self.style()))
    }

    /// Looks, and waits until there is something to tell or the time is over.
    async fn wait(&self, held: SyncToken) -> Result<Bytes, Error> {
        let deadline = Instant::now() + self.request.timeout.min(TIMEOUT_MAX);
        let mut since = held;
        loop {
            let waiter = self.inner.waiter(self.requester).await?;
            let mut bell = std::pin::pin!(waiter.bell().notified());
            bell.as_mut().enable();
            // The head is read before the waiter is asked: what it covers, the waiter knows.
            let now = SyncToken::at(self.inner.notifier.head());
            // A token of another epoch knows nothing ephemeral, so there may always be something.
            if since.epoch != now.epoch || waiter.has_news(&since) {
                let answer = self.look(Some(since)).await?.gather().await?;
                if !answer.is_empty() {
                    return Ok(write::write(&answer, self.style()));
                }
                since = answer.next;
            } else {
                // Who heard of nothing shows what it showed.
                since = SyncToken { typing: since.typing, ..now };
            }
            // A timer would be late by a millisecond where nobody wants to wait at all.
            let _waiting = self.inner.waiting.enter();
            let is_over = Instant::now() >= deadline;
            if is_over || tokio::time::timeout_at(deadline, bell).await.is_err() {
                self.carry_known(held, since);
                return Ok(write::nothing(since));
            }
        }
    }

    /// A client that gets a new token without anything else knows the members that it knew.
    fn carry_known(&self, held: SyncToken, next: SyncToken) {
        if self.filter.lazy == LazyMembers::New && held != next {
            let holder = |token| Holder {
                user: self.requester.user(),
                device_id: self.requester.device_id().to_owned(),
                token,
            };
            let known = self.inner.known.known(&holder(held));
            self.inner.known.remember(holder(next), known);
        }
    }

    async fn look(&self, since: Option<SyncToken>) -> Result<Arc<Look>, Error> {
        let user = self.requester.user();
        let ignored = self.inner.parts.ignored.of(user).await?;
        let blocks_invites = self.inner.parts.ignored.blocks_invites(user).await?;
        loop {
            self.inner.waiter(self.requester).await?;
            // What is not durable is read first, so that it cannot overtake what is.
            let Head { epoch, ephemeral, .. } = self.inner.notifier.head();
            let Some(standing) = self.inner.notifier.standing(user, since.map(|s| s.position))
            else {
                continue;
            };
            return Ok(Arc::new(Look {
                inner: Arc::clone(self.inner),
                requester: self.requester.clone(),
                filter: Arc::clone(&self.filter),
                state: self.request.state,
                full_state: self.request.full_state,
                held: self.since,
                since,
                next: SyncToken::at(Head { position: standing.position, epoch, ephemeral }),
                memberships: standing.memberships,
                news: standing.news,
                ignored,
                blocks_invites,
            }));
        }
    }

    fn style(&self) -> Style<'_> {
        Style {
            format: &self.filter.format,
            state: self.request.state,
            now_ms: self.inner.parts.clock.now_ms(),
        }
    }
}
