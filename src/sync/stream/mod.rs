//! The streams of which an answer is made: one file each. A further stream is a further file here,
//! a section in [`crate::answer`], and a line in [`Look::gather`].
//!
//! An answer is gathered in two steps: [`first::First`] says what moved for the user herself and
//! which rooms belong into it; then the rooms are opened, and [`second`] fills them. Each step
//! looks into memory first, and if that is not enough into one view of the database.

mod account_data;
mod first;
mod joined;
mod left;
mod own;
mod presence;
mod receipts;
mod rows;
mod second;
mod sight;
mod source;
mod state;
mod stripped;
mod summary;
mod timeline;
mod typing;

use std::{collections::HashSet, sync::Arc};

use proto::number::RoomNumber;
use ruma::OwnedUserId;
use user::Requester;

use crate::{
    Error, StateSection,
    answer::Answer,
    filter::{LazyMembers, SyncFilter},
    inner::Inner,
    lazy::{Holder, Known},
    membership::{Membership, Memberships},
    notifier::News,
    token::SyncToken,
};

pub(crate) use source::{Found, Missing, Source};

/// One look at everything that concerns a user: between the token that the client holds and the one
/// that it will get.
pub(crate) struct Look {
    pub(crate) inner: Arc<Inner>,
    pub(crate) requester: Requester,
    pub(crate) filter: Arc<SyncFilter>,
    /// Which state delta is wanted.
    pub(crate) state: StateSection,
    pub(crate) full_state: bool,
    /// What the client holds.
    pub(crate) held: Option<SyncToken>,
    /// From where to look: what the client holds, or later if it is known that nothing happened in
    /// between.
    pub(crate) since: Option<SyncToken>,
    /// Up to where to look. Whom the client shows as typing then is for the answer to say.
    pub(crate) next: SyncToken,
    /// The user's rooms at `next`.
    pub(crate) memberships: Memberships,
    /// What happened between the two, if all of it is in memory.
    pub(crate) news: Option<News>,
    /// Whom the user ignores.
    pub(crate) ignored: Arc<HashSet<OwnedUserId>>,
    /// Whether the user wants no invitations.
    pub(crate) blocks_invites: bool,
}

impl Look {
    /// Gathers what there is to tell.
    pub(crate) async fn gather(self: Arc<Self>) -> Result<Answer, Error> {
        let first = self.ask(first::first).await?;
        let opened = Arc::new(second::open(&self, first).await?);
        let (answer, known) =
            self.ask(move |look, source| second::second(look, source, &opened)).await?;
        if self.filter.lazy == LazyMembers::New {
            self.inner.known.remember(self.holder(answer.next), known);
        }
        Ok(answer)
    }

    /// Whether the user is joined to a room at `next`.
    fn is_joined(&self, room: RoomNumber) -> bool {
        self.memberships.get(&room).is_some_and(Membership::is_joined)
    }

    /// The members whom the client has been sent before.
    fn known(&self) -> Known {
        match self.held {
            Some(held) if self.filter.lazy == LazyMembers::New => {
                self.inner.known.known(&self.holder(held))
            }
            _ => Known::new(),
        }
    }

    fn holder(&self, token: SyncToken) -> Holder {
        let device_id = self.requester.device_id().to_owned();
        Holder { user: self.requester.user(), device_id, token }
    }

    /// Has the work done from memory, or else from the database.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(&Self, &mut Source<'_, '_>) -> Found<T> + Send + 'static,
    ) -> Result<T, Error> {
        let parts = &self.inner.parts;
        // Whoever comes for the first time, or with an old token, needs the database in any case.
        if self.news.is_some() {
            match work(self, &mut Source::new(self, None)) {
                Ok(found) => return Ok(found),
                Err(Missing::Failed(error)) => return Err(error),
                Err(Missing::Database) => {}
            }
        }
        let look = Arc::clone(self);
        let read = parts.store.read(move |snapshot| {
            let mut source = Source::new(&look, Some(snapshot));
            work(&look, &mut source).map_err(|missing| match missing {
                Missing::Failed(error) => error,
                Missing::Database => Error::Incomplete,
            })
        });
        read.await
    }
}
