//! Accounts: registration, password change, deactivation, the administrator's list.

use proto::number::UserNumber;
use ruma::{DeviceId, OwnedUserId, UserId};

use crate::{Error, Requester, session::{LoggedIn, NewSession}};

/// Accounts of local users.
#[derive(Clone)]
pub struct Accounts {}

/// What somebody registers with.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The desired localpart, or the full user ID; none makes one.
    pub username: Option<String>,
    /// Without a password nobody can log in by password.
    pub password: Option<String>,
    /// Whether the account administers the server.
    pub admin: bool,
    /// A display name other than the localpart.
    pub displayname: Option<String>,
    /// The registration token that was shown in user-interactive authentication; it is used up with the account.
    pub registration_token: Option<String>,
    /// The session to open at once; none is `inhibit_login`.
    pub login: Option<NewSession>,
}

/// A fresh account.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The new user.
    pub user_id: OwnedUserId,
    /// The session, unless it was inhibited.
    pub session: Option<LoggedIn>,
}

/// An account as the administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags of an account, as stored")]
pub struct Account {
    /// The user's number in the store.
    pub user: UserNumber,
    /// The user.
    pub user_id: OwnedUserId,
    /// When the account was made, in milliseconds since the epoch.
    pub created_ts: u64,
    /// Whether the user administers the server.
    pub admin: bool,
    /// Whether the account is a guest's.
    pub guest: bool,
    /// Whether the account was deactivated.
    pub deactivated: bool,
    /// Whether the deactivation asked for erasure.
    pub erased: bool,
    /// Whether there is a password.
    pub has_password: bool,
    /// The display name, if there is one.
    pub displayname: Option<String>,
}

/// Which accounts to list.
#[derive(Clone, Debug, Default)]
pub struct AccountQuery {
    /// Only those whose localpart or display name contains this.
    pub search: Option<String>,
    /// Deactivated accounts too.
    pub deactivated: bool,
    /// Guests too.
    pub guests: bool,
    /// Only accounts after this one in the order of their numbers.
    pub after: Option<UserNumber>,
    /// At most so many; capped at 1000.
    pub limit: usize,
}

impl Accounts {
    /// Checks a desired user name without taking it: grammar, length, ours, free.
    pub async fn check_available(&self, username: &str) -> Result<OwnedUserId, Error> {
        let _ = username;
        todo!()
    }

    /// Makes an account. Whether the caller may is for the caller to check (settings, user-interactive authentication).
    pub async fn register(&self, registration: Registration) -> Result<Registered, Error> {
        let _ = registration;
        todo!()
    }

    /// Makes a guest account with a session of its own.
    pub async fn register_guest(&self, session: NewSession) -> Result<Registered, Error> {
        let _ = session;
        todo!()
    }

    /// The account of a local user.
    pub async fn find(&self, user_id: &UserId) -> Result<Option<Account>, Error> {
        let _ = user_id;
        todo!()
    }

    /// Accounts in the order of their numbers.
    pub async fn list(&self, query: AccountQuery) -> Result<Vec<Account>, Error> {
        let _ = query;
        todo!()
    }

    /// Sets a new password. With `logout_devices` every session but the one of `keep` ends.
    pub async fn change_password(
        &self,
        user_id: &UserId,
        new_password: String,
        logout_devices: bool,
        keep: Option<&DeviceId>,
    ) -> Result<(), Error> {
        let _ = (user_id, new_password, logout_devices, keep);
        todo!()
    }

    /// Deactivates for good: no sessions, no password, out of all rooms; with `erase` the user's events are served
    /// redacted to those who were not in the room when they were sent.
    pub async fn deactivate(&self, user_id: &UserId, erase: bool) -> Result<(), Error> {
        let _ = (user_id, erase);
        todo!()
    }

    /// Makes somebody an administrator or takes it away.
    pub async fn set_admin(&self, user_id: &UserId, admin: bool) -> Result<(), Error> {
        let _ = (user_id, admin);
        todo!()
    }

    /// Whether the user asked for erasure; answered from memory.
    pub fn is_erased(&self, user: UserNumber) -> bool {
        let _ = user;
        todo!()
    }

    /// Whether the requester may use the endpoint although a guest.
    pub fn refuse_guest(&self, requester: &Requester) -> Result<(), Error> {
        if requester.is_guest() { Err(Error::GuestAccessForbidden) } else { Ok(()) }
    }
}
