//! Deactivation, with erasure where it is asked for.
//!
//! Invariant: from the first change on nobody can log in or use a token. Leaving the rooms comes
//! after it and can take long; the account says so until it is done, and what a crash interrupted
//! goes on at the next start. A request of hers that was under way may still join a room behind
//! that: whoever is gone and comes again is made to leave again.
//!
//! Spec: client-server API, "Account deactivation".

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use proto::number::UserNumber;
use ruma::{OwnedUserId, UserId};
use store::{
    WriteTxn,
    user::{account as rows, account_data, directory, profile},
};

use crate::{Accounts, Error, departure::hear_arrivals};

/// Users who are remembered as gone; when as many have followed, no request of the oldest is under
/// way any more.
const MAX_GONE: usize = 10_000;

/// Users who were deactivated since the start.
#[derive(Default)]
pub(crate) struct Gone {
    users: HashMap<UserNumber, OwnedUserId>,
    order: VecDeque<UserNumber>,
}

impl Gone {
    fn add(&mut self, user: UserNumber, user_id: OwnedUserId) {
        if self.users.insert(user, user_id).is_none() {
            self.order.push_back(user);
        }
        if self.order.len() > MAX_GONE
            && let Some(oldest) = self.order.pop_front()
        {
            self.users.remove(&oldest);
        }
    }
}

impl Accounts {
    /// Listens for users who come into a room although they are gone. Called once, where tasks can
    /// be spawned.
    pub(crate) fn watch_gone(&self) {
        let tasks = tokio::runtime::Handle::current();
        hear_arrivals(&self.inner.context.store, &self.inner, move |inner, user| {
            let Some(user_id) = inner.gone.lock().users.get(&user).cloned() else { return };
            let inner = Arc::clone(inner);
            tasks.spawn(async move {
                if let Err(error) = inner.rooms.leave_all(user, &user_id).await {
                    tracing::warn!(
                        MATRIX_USER = %user_id, %error,
                        "a deactivated user came into a room and could not leave it"
                    );
                }
            });
        });
    }

    /// Deactivates for good: no sessions, no password, out of all rooms; with `erase` the user's
    /// events are served redacted to those who were not in the room when they were sent.
    pub async fn deactivate(&self, user_id: &UserId, erase: bool) -> Result<(), Error> {
        let context = &self.inner.context;
        let user = context.load_user(user_id).await?;
        self.inner.sessions.thin_out(user, None).await?;
        let (accounts, wanted) = (self.clone(), user_id.to_owned());
        let now_ms = context.now_ms();
        let work = move |txn: &mut WriteTxn<'_>| {
            if rows::find_by_number(txn, user)?.is_none() {
                return Err(Error::UnknownUser(wanted.clone()));
            }
            rows::deactivate(txn, user, now_ms, erase)?;
            accounts.inner.sessions.delete_all(txn, user, None)?;
            account_data::delete_all(txn, user)?;
            directory::set_words(txn, user, &[])?;
            let (inner, gone) = (Arc::clone(&accounts.inner), wanted.clone());
            txn.on_commit(Box::new(move || inner.gone.lock().add(user, gone)));
            if erase {
                profile::delete_all(txn, user)?;
                accounts.inner.profiles.forget_on_commit(txn, user);
                accounts.erase_on_commit(txn, &wanted);
            }
            Ok(())
        };
        context.store.write(work).await?;
        tracing::info!(MATRIX_USER = %user_id, erase, "an account was deactivated");
        // In a task of its own, so that a client that hangs up does not leave it half done.
        let (accounts, user_id) = (self.clone(), user_id.to_owned());
        let leaving = tokio::spawn(async move { accounts.leave_rooms(&user_id, user).await });
        leaving.await.map_err(|_| Error::Abandoned)?
    }

    /// Goes on with deactivations that were interrupted. Called once at the start.
    pub async fn resume_deactivations(&self) -> Result<(), Error> {
        let store = &self.inner.context.store;
        let leaving: Vec<OwnedUserId> =
            store.read(|snapshot| Ok::<_, Error>(rows::list_leaving(snapshot)?)).await?;
        for user_id in leaving {
            let user = self.inner.context.load_user(&user_id).await?;
            self.leave_rooms(&user_id, user).await?;
        }
        Ok(())
    }

    async fn leave_rooms(&self, user_id: &UserId, user: UserNumber) -> Result<(), Error> {
        self.inner.rooms.leave_all(user, user_id).await?;
        let work = move |txn: &mut WriteTxn<'_>| Ok::<_, Error>(rows::set_left(txn, user)?);
        self.inner.context.store.write(work).await
    }

    /// Whether the user asked for erasure; answered from memory.
    pub fn is_erased(&self, user_id: &UserId) -> bool {
        let erased = self.inner.erased.load();
        // Almost always nobody has, and this is asked for many events.
        !erased.is_empty() && erased.contains(user_id)
    }

    fn erase_on_commit(&self, txn: &mut WriteTxn<'_>, user_id: &UserId) {
        let (inner, user_id) = (Arc::clone(&self.inner), user_id.to_owned());
        txn.on_commit(Box::new(move || {
            // Only the writer's thread comes here.
            let mut erased = HashSet::clone(&inner.erased.load());
            erased.insert(user_id);
            inner.erased.store(Arc::new(erased));
        }));
    }
}
