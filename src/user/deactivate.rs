//! Deactivation, with erasure where it is asked for.
//!
//! Invariant: from the first change on nobody can log in or use a token. Leaving the rooms comes
//! after it and can take long; the account says so until it is done, and what a crash interrupted
//! goes on at the next start.
//!
//! Spec: client-server API, "Account deactivation".

use std::{collections::HashSet, sync::Arc};

use proto::number::UserNumber;
use ruma::{OwnedUserId, UserId};
use store::{
    WriteTxn,
    user::{account as rows, account_data, directory, profile},
};

use crate::{Accounts, Error};

impl Accounts {
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
