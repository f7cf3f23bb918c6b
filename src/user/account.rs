//! Accounts: registration, password change, the administrator's list. Deactivation stands in
//! `deactivate.rs`.
//!
//! Invariant: an account, its profile, its first session and the use of its registration token are
//! one change.
//!
//! Spec: client-server API, "Account registration and management".

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use proto::number::UserNumber;
use ruma::{DeviceId, OwnedUserId, UserId};
use store::{
    Snapshot, WriteTxn,
    user::{
        account::{self as rows, AccountFilter, AccountRow, NewAccount},
        directory, profile, registration_token,
    },
};

use crate::{
    Context, Error, Passwords, Profiles, Requester, RoomAccess, Sessions,
    deactivate::Gone,
    directory::words,
    password::check_policy,
    session::{LoggedIn, NewSession, Opening},
    username,
};

/// The most accounts in one answer, and the most that one read looks at.
const MAX_LISTED: usize = 1000;

/// How often another name is generated when the one before is taken.
const GENERATE_TRIES: usize = 4;

/// Accounts of local users.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) context: Context,
    pub(crate) sessions: Sessions,
    pub(crate) profiles: Profiles,
    pub(crate) rooms: Arc<dyn RoomAccess>,
    passwords: Passwords,
    /// Users who asked for erasure: few, and asked for with every event that is served.
    pub(crate) erased: ArcSwap<HashSet<OwnedUserId>>,
    pub(crate) gone: Mutex<Gone>,
}

/// What [`Accounts`] is made from besides the context.
pub struct AccountParts {
    /// Hashes the passwords of new accounts.
    pub passwords: Passwords,
    /// Opens the sessions of new accounts.
    pub sessions: Sessions,
    /// Profiles, which a deactivation with erasure empties.
    pub profiles: Profiles,
    /// The rooms that a deactivated user leaves.
    pub rooms: Arc<dyn RoomAccess>,
}

/// What somebody registers with.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    /// The desired localpart; none makes one.
    pub username: Option<String>,
    /// Without a password nobody can log in by password.
    pub password: Option<String>,
    /// Whether the account administers the server.
    pub admin: bool,
    /// A display name other than the localpart.
    pub displayname: Option<String>,
    /// The registration token that was shown in user-interactive authentication; it is used up with
    /// the account.
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

/// A registration with everything in it that takes time or chance.
struct Prepared {
    user_id: OwnedUserId,
    password_hash: Option<String>,
    displayname: String,
    admin: bool,
    guest: bool,
    registration_token: Option<String>,
    opening: Option<Opening>,
    now_ms: u64,
}

impl Accounts {
    /// Accounts over a store; reads who was erased.
    pub async fn open(context: Context, parts: AccountParts) -> Result<Self, Error> {
        let erased =
            context.store.read(|snapshot| Ok::<_, Error>(rows::list_erased(snapshot)?)).await?;
        let AccountParts { passwords, sessions, profiles, rooms } = parts;
        let erased = ArcSwap::from_pointee(erased.into_iter().collect());
        let gone = Mutex::default();
        let inner = Inner { context, sessions, profiles, rooms, passwords, erased, gone };
        let accounts = Self { inner: Arc::new(inner) };
        accounts.watch_gone();
        Ok(accounts)
    }

    /// Checks a desired user name without taking it: grammar, length, free.
    pub async fn check_available(&self, username: &str) -> Result<OwnedUserId, Error> {
        let user_id = username::check(username, &self.inner.context.server_name)?;
        match self.find_row(&user_id).await? {
            Some(_) => Err(Error::UserInUse),
            None => Ok(user_id),
        }
    }

    /// Checks a registration before anybody is asked to authenticate: name and password.
    pub async fn check_registration(
        &self,
        username: Option<&str>,
        password: Option<&str>,
    ) -> Result<(), Error> {
        if let Some(username) = username {
            self.check_available(&username.to_lowercase()).await?;
        }
        match password {
            Some(password) => self.check_password_policy(password),
            None => Ok(()),
        }
    }

    fn check_password_policy(&self, password: &str) -> Result<(), Error> {
        let settings = self.inner.context.settings();
        check_policy(password, &settings.passwords).map_err(Error::WeakPassword)
    }

    /// Makes an account. Whether the caller may is for the caller to check (settings,
    /// user-interactive authentication).
    pub async fn register(&self, registration: Registration) -> Result<Registered, Error> {
        let context = &self.inner.context;
        let Some(username) = &registration.username else {
            return self.register_generated(registration).await;
        };
        let user_id = username::check(&username.to_lowercase(), &context.server_name)?;
        if self.find_row(&user_id).await?.is_some() {
            // Asked before the password is hashed, which is what costs; the change asks again.
            return Err(Error::UserInUse);
        }
        let prepared = self.prepare(user_id, registration).await?;
        self.write_registration(prepared).await
    }

    /// Makes an account under a name of ours.
    async fn register_generated(&self, registration: Registration) -> Result<Registered, Error> {
        let context = &self.inner.context;
        for _ in 0..GENERATE_TRIES {
            let user_id = username::generate(&*context.random, &context.server_name)?;
            if self.find_row(&user_id).await?.is_none() {
                let prepared = self.prepare(user_id, registration).await?;
                return self.write_registration(prepared).await;
            }
        }
        Err(Error::UserInUse)
    }

    /// Makes a guest account with a session of its own.
    pub async fn register_guest(&self, session: NewSession) -> Result<Registered, Error> {
        let context = &self.inner.context;
        if !context.settings().registration.guests {
            return Err(Error::GuestAccessForbidden);
        }
        let user_id = username::generate_guest(&*context.random, &context.server_name)?;
        // The client does not choose a guest's device.
        let session = NewSession { device_id: None, refresh_token: false, ..session };
        let registration = Registration { login: Some(session), ..Registration::default() };
        let prepared = self.prepare(user_id, registration).await?;
        self.write_registration(Prepared { guest: true, ..prepared }).await
    }

    async fn prepare(
        &self,
        user_id: OwnedUserId,
        registration: Registration,
    ) -> Result<Prepared, Error> {
        let Registration { password, admin, displayname, registration_token, login, .. } =
            registration;
        let context = &self.inner.context;
        let opening = login.map(|session| Opening::prepare(context, session)).transpose()?;
        let password_hash = match password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        let displayname = displayname.unwrap_or_else(|| user_id.localpart().to_owned());
        crate::profile::check_displayname(&displayname)?;
        let (guest, now_ms) = (false, context.now_ms());
        Ok(Prepared {
            user_id,
            password_hash,
            displayname,
            admin,
            guest,
            registration_token,
            opening,
            now_ms,
        })
    }

    async fn hash(&self, password: String) -> Result<String, Error> {
        self.check_password_policy(&password)?;
        Ok(self.inner.passwords.hash(password).await?)
    }

    async fn write_registration(&self, prepared: Prepared) -> Result<Registered, Error> {
        let user_id = prepared.user_id.clone();
        let session = prepared.opening.as_ref().map(|opening| opening.logged_in(&user_id));
        let accounts = self.clone();
        let work = move |txn: &mut WriteTxn<'_>| accounts.insert(txn, &prepared);
        self.inner.context.store.write(work).await?;
        tracing::info!(MATRIX_USER = %user_id, "an account was made");
        Ok(Registered { user_id, session })
    }

    fn insert(&self, txn: &mut WriteTxn<'_>, prepared: &Prepared) -> Result<(), Error> {
        let Prepared { user_id, displayname, now_ms, .. } = prepared;
        if rows::find(txn, user_id)?.is_some() {
            return Err(Error::UserInUse);
        }
        if let Some(token) = &prepared.registration_token
            && !registration_token::use_once(txn, token, *now_ms)?
        {
            return Err(Error::Forbidden("the registration token is no longer valid"));
        }
        let user = txn.intern_user(user_id)?;
        let account = NewAccount {
            user,
            password_hash: prepared.password_hash.clone(),
            created_ts: *now_ms,
            is_admin: prepared.admin,
            is_guest: prepared.guest,
        };
        rows::insert(txn, &account)?;
        if !displayname.is_empty() {
            let json = serde_json::Value::from(displayname.as_str()).to_string();
            profile::set(txn, user, "displayname", &json)?;
        }
        if !prepared.guest {
            directory::set_words(txn, user, &words(user_id, displayname))?;
        }
        self.inner.profiles.forget_on_commit(txn, user);
        if let Some(opening) = &prepared.opening {
            self.inner.sessions.write_opening(txn, user, opening)?;
        }
        Ok(())
    }

    async fn find_row(&self, user_id: &UserId) -> Result<Option<AccountRow>, Error> {
        let user_id = user_id.to_owned();
        let read = move |snapshot: &mut Snapshot<'_>| Ok(rows::find(snapshot, &user_id)?);
        self.inner.context.store.read(read).await
    }

    /// The account of a local user.
    pub async fn find(&self, user_id: &UserId) -> Result<Option<Account>, Error> {
        let user_id = user_id.to_owned();
        let read = move |snapshot: &mut Snapshot<'_>| {
            let Some(row) = rows::find(snapshot, &user_id)? else { return Ok(None) };
            Ok::<_, Error>(with_names(snapshot, vec![row])?.pop())
        };
        self.inner.context.store.read(read).await
    }

    /// Accounts in the order of their numbers.
    pub async fn list(&self, query: AccountQuery) -> Result<Vec<Account>, Error> {
        let read = move |snapshot: &mut Snapshot<'_>| {
            let limit = query.limit.clamp(1, MAX_LISTED);
            let search = query.search.as_ref().map(|search| search.to_lowercase());
            let mut filter = AccountFilter {
                after: query.after.unwrap_or_default(),
                deactivated: query.deactivated,
                guests: query.guests,
                limit: if search.is_some() { MAX_LISTED } else { limit },
            };
            let mut found = Vec::new();
            loop {
                let rows = rows::list(snapshot, &filter)?;
                let Some(last) = rows.last() else { break };
                filter.after = last.user;
                let accounts = with_names(snapshot, rows)?.into_iter();
                found.extend(accounts.filter(|account| matches(account, search.as_deref())));
                if found.len() >= limit {
                    break;
                }
            }
            found.truncate(limit);
            Ok::<_, Error>(found)
        };
        self.inner.context.store.read(read).await
    }

    /// Sets a new password. With `logout_devices` every session but the one of `keep` ends.
    pub async fn change_password(
        &self,
        user_id: &UserId,
        new_password: String,
        logout_devices: bool,
        keep: Option<&DeviceId>,
    ) -> Result<(), Error> {
        let user = self.inner.context.load_user(user_id).await?;
        let hash = self.hash(new_password).await?;
        let (sessions, keep) = (self.inner.sessions.clone(), keep.map(ToOwned::to_owned));
        if logout_devices {
            sessions.thin_out(user, keep.as_deref()).await?;
        }
        let unknown = user_id.to_owned();
        let work = move |txn: &mut WriteTxn<'_>| {
            if !rows::set_password(txn, user, Some(&hash))? {
                return Err(Error::UnknownUser(unknown.clone()));
            }
            if logout_devices {
                sessions.delete_all(txn, user, keep.as_deref())?;
            }
            Ok(())
        };
        self.inner.context.store.write(work).await
    }

    /// Makes somebody an administrator or takes it away.
    pub async fn set_admin(&self, user_id: &UserId, admin: bool) -> Result<(), Error> {
        let user = self.inner.context.load_user(user_id).await?;
        let (sessions, unknown) = (self.inner.sessions.clone(), user_id.to_owned());
        let work = move |txn: &mut WriteTxn<'_>| {
            if !rows::set_admin(txn, user, admin)? {
                return Err(Error::UnknownUser(unknown.clone()));
            }
            sessions.reload_user(txn, user)
        };
        self.inner.context.store.write(work).await
    }

    /// Whether the requester may use the endpoint although a guest.
    pub fn refuse_guest(&self, requester: &Requester) -> Result<(), Error> {
        if requester.is_guest() { Err(Error::GuestAccessForbidden) } else { Ok(()) }
    }
}

/// The accounts with their display names.
fn with_names(
    snapshot: &mut Snapshot<'_>,
    rows: Vec<AccountRow>,
) -> Result<Vec<Account>, store::Error> {
    let users: Vec<UserNumber> = rows.iter().map(|row| row.user).collect();
    let names: std::collections::HashMap<UserNumber, String> =
        profile::list_names(snapshot, &users)?
            .into_iter()
            .filter(|(_, _, field, _)| field == "displayname")
            .filter_map(|(user, _, _, json)| Some((user, serde_json::from_str(&json).ok()?)))
            .collect();
    let account = |row: AccountRow| Account {
        displayname: names.get(&row.user).cloned(),
        user: row.user,
        user_id: row.user_id,
        created_ts: row.created_ts,
        admin: row.is_admin,
        guest: row.is_guest,
        deactivated: row.deactivated_ts.is_some(),
        erased: row.is_erased,
        has_password: row.password_hash.is_some(),
    };
    Ok(rows.into_iter().map(account).collect())
}

fn matches(account: &Account, search: Option<&str>) -> bool {
    let Some(search) = search else { return true };
    let name = account.displayname.as_deref().unwrap_or_default();
    account.user_id.localpart().contains(search) || name.to_lowercase().contains(search)
}

#[cfg(test)]
#[path = "account_test.rs"]
mod account_test;
