//! Sessions: access and refresh tokens, authentication, logout. Tokens are opaque and stored only
//! as SHA-256.
//!
//! Invariant: a token that is not in the database authenticates nobody once the change that removed
//! it is committed; the cache is told on the writer's thread, before anybody can see the commit.
//!
//! Spec: client-server API, "Client authentication".

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use proto::number::UserNumber;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use store::{
    WriteTxn,
    user::{
        account::{self, AccountRow},
        device,
        token::{self as tokens, AccessTokenRow, NewAccessToken, TokenHash},
    },
};

use crate::{
    Context, Error, Passwords, Requester, Seen,
    cache::Cache,
    ended::Waiting,
    login_tokens::LoginTokens,
    logins::Logins,
    seen::{SeenDevices, last_seen},
    token,
};

/// What a session takes in the cache.
const SESSION_BYTES: usize = 256;

/// A device counts as seen again after so long: fewer writes for the same information.
const SEEN_EVERY_MS: u64 = 60_000;

/// The longest device ID in bytes.
const MAX_DEVICE_ID_BYTES: usize = 255;

/// The longest name of a device in characters, as in Synapse.
pub(crate) const MAX_DEVICE_NAME: usize = 100;

/// How often a token is read again when its pair is confirmed meanwhile.
const LOAD_TRIES: usize = 3;

/// Sessions of local users, and their devices.
#[derive(Clone)]
pub struct Sessions {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) context: Context,
    pub(crate) passwords: Passwords,
    pub(crate) seen: SeenDevices,
    pub(crate) login_tokens: LoginTokens,
    pub(crate) logins: Logins,
    pub(crate) waiting: Waiting,
    cache: Cache<TokenHash, Entry>,
}

/// What is known of a token.
#[derive(Clone)]
enum Entry {
    Known(Arc<Session>),
    /// Nobody's: a client that keeps asking with a dead token costs no read each time.
    Unknown,
}

pub(crate) struct Session {
    requester: Requester,
    expires_ts: Option<u64>,
    /// When the device was noted as seen.
    noted_ts: AtomicU64,
}

/// What a new session is opened with.
#[derive(Clone, Debug, Default)]
pub struct NewSession {
    /// The device to use; none makes one. Tokens that the device had end.
    pub device_id: Option<OwnedDeviceId>,
    /// The device's name, ignored when the device is there already.
    pub initial_device_display_name: Option<String>,
    /// Whether the client understands refresh tokens.
    pub refresh_token: bool,
    /// Where the request came from.
    pub seen: Seen,
}

/// An open session, as `/login` and `/register` return it.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The user.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The tokens.
    pub tokens: Tokens,
}

/// An access token and what belongs to it, as `/refresh` returns it.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token, the only time that it is seen in clear.
    pub access_token: String,
    /// The refresh token, when the client asked for one.
    pub refresh_token: Option<String>,
    /// Milliseconds until the access token expires; none is never.
    pub expires_in_ms: Option<u64>,
}

impl Sessions {
    /// Sessions over a store.
    pub fn new(context: Context, passwords: Passwords) -> Self {
        let weigh = |_: &TokenHash, entry: &Entry| match entry {
            Entry::Known(_) => SESSION_BYTES,
            Entry::Unknown => 0,
        };
        let cache = Cache::new(context.cache_bytes(4), weigh);
        let (seen, login_tokens) = (SeenDevices::default(), LoginTokens::default());
        let (logins, waiting) = (Logins::default(), Waiting::default());
        let inner = Inner { context, passwords, seen, login_tokens, logins, waiting, cache };
        Self { inner: Arc::new(inner) }
    }

    /// Who a token belongs to. Answered from a bounded cache; only a token that was not used lately
    /// asks the database. Marks the device as seen, which is written later and in batches.
    pub async fn authenticate(&self, token: &str, seen: &Seen) -> Result<Requester, Error> {
        let session = self.check(token::hash(token)).await?;
        Ok(self.admit(&session, seen))
    }

    /// Who a token belongs to, even if it has expired: whoever was logged out softly may still log
    /// out for good, as in Synapse.
    pub async fn authenticate_expired(&self, token: &str, seen: &Seen) -> Result<Requester, Error> {
        let session = self.find(token::hash(token)).await?;
        Ok(self.admit(&session, seen))
    }

    /// The session of a token that has not expired.
    pub(crate) async fn check(&self, hash: TokenHash) -> Result<Arc<Session>, Error> {
        let session = self.find(hash).await?;
        let now_ms = self.inner.context.now_ms();
        if session.expires_ts.is_some_and(|expires_ts| expires_ts <= now_ms) {
            return Err(Error::UnknownToken { soft_logout: true });
        }
        Ok(session)
    }

    async fn find(&self, hash: TokenHash) -> Result<Arc<Session>, Error> {
        match self.inner.cache.get(&hash) {
            Some(Entry::Known(session)) => Ok(session),
            Some(Entry::Unknown) => Err(Error::UnknownToken { soft_logout: false }),
            None => self.load(hash).await,
        }
    }

    /// Lets a session pass, and notes that its device was seen.
    fn admit(&self, session: &Session, seen: &Seen) -> Requester {
        let now_ms = self.inner.context.now_ms();
        let noted = session.noted_ts.load(Ordering::Relaxed);
        if now_ms >= noted.saturating_add(SEEN_EVERY_MS)
            && session
                .noted_ts
                .compare_exchange(noted, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.inner.seen.note(session.requester.device(), seen, now_ms);
        }
        session.requester.clone()
    }

    /// Reads a token's session. The first use of a token that came from a refresh ends the pair
    /// that it replaces.
    async fn load(&self, hash: TokenHash) -> Result<Arc<Session>, Error> {
        let unknown = Error::UnknownToken { soft_logout: false };
        for _ in 0..LOAD_TRIES {
            let ticket = self.inner.cache.ticket();
            let read =
                move |snapshot: &mut store::Snapshot<'_>| tokens::find_access(snapshot, &hash);
            let Some(row) = self.inner.context.store.read(read).await? else {
                self.inner.cache.fill(ticket, hash, Entry::Unknown);
                return Err(unknown);
            };
            let expired = row.expires_ts.is_some_and(|ts| ts <= self.inner.context.now_ms());
            if let Some(replaced) = row.replaces.filter(|_| !expired) {
                self.confirm(row.device, replaced).await?;
                continue;
            }
            let session = Arc::new(Session::new(row, hash));
            self.inner.cache.fill(ticket, hash, Entry::Known(Arc::clone(&session)));
            return Ok(session);
        }
        Err(unknown)
    }

    async fn confirm(&self, device: i64, replaced: TokenHash) -> Result<(), Error> {
        let sessions = self.clone();
        let work = move |txn: &mut WriteTxn<'_>| {
            let ended = tokens::confirm(txn, device, &replaced)?;
            sessions.forget_on_commit(txn, ended);
            Ok(())
        };
        self.inner.context.store.write(work).await
    }

    /// Drops tokens from the cache when the change is committed.
    pub(crate) fn forget_on_commit(&self, txn: &mut WriteTxn<'_>, ended: Vec<TokenHash>) {
        if ended.is_empty() {
            return;
        }
        let inner = Arc::clone(&self.inner);
        txn.on_commit(Box::new(move || {
            for hash in &ended {
                inner.cache.forget(hash);
            }
        }));
    }

    /// The same for all tokens of devices, whose requests that wait are told, too.
    pub(crate) fn end_on_commit(
        &self,
        txn: &mut WriteTxn<'_>,
        devices: Vec<i64>,
        ended: Vec<TokenHash>,
    ) {
        self.forget_on_commit(txn, ended);
        let inner = Arc::clone(&self.inner);
        txn.on_commit(Box::new(move || {
            for device in devices {
                inner.waiting.ring(device);
            }
        }));
    }

    /// Opens a session for a user whose identity is established (a registration, an administrator).
    pub async fn open(&self, user_id: &UserId, session: NewSession) -> Result<LoggedIn, Error> {
        self.open_if(user_id, session, |_| Ok(())).await
    }

    /// The same if the account, as it is then, still allows it.
    pub(crate) async fn open_if(
        &self,
        user_id: &UserId,
        session: NewSession,
        allows: impl Fn(&AccountRow) -> Result<(), Error> + Send + 'static,
    ) -> Result<LoggedIn, Error> {
        let user = self.inner.context.load_user(user_id).await?;
        let opening = Opening::prepare(&self.inner.context, session)?;
        let logged_in = opening.logged_in(user_id);
        let sessions = self.clone();
        let work = move |txn: &mut WriteTxn<'_>| {
            let account = account::find_by_number(txn, user)?;
            let account = account.filter(|account| account.deactivated_ts.is_none());
            allows(&account.ok_or(Error::UserDeactivated)?)?;
            sessions.write_opening(txn, user, &opening)
        };
        self.inner.context.store.write(work).await?;
        Ok(logged_in)
    }

    /// Writes a prepared session within a larger change.
    pub(crate) fn write_opening(
        &self,
        txn: &mut WriteTxn<'_>,
        user: UserNumber,
        opening: &Opening,
    ) -> Result<(), Error> {
        let device = if let Some(row) = device::find(txn, user, &opening.device_id)? {
            let ended = tokens::delete_of_device(txn, row.number)?;
            self.end_on_commit(txn, vec![row.number], ended);
            row.number
        } else {
            let name = opening.display_name.as_deref();
            device::insert(txn, user, &opening.device_id, name, opening.now_ms)?
        };
        device::set_seen(txn, device, &last_seen(&opening.seen, opening.now_ms))?;
        opening.pair.insert(txn, device, None)?;
        Ok(())
    }

    /// Ends the requester's session and forgets its device.
    pub async fn logout(&self, requester: &Requester) -> Result<(), Error> {
        let devices = vec![requester.device_id().to_owned()];
        self.delete_devices(requester.user_id(), devices).await
    }

    /// Ends all sessions of the requester's user and forgets the devices, hers at the end.
    pub async fn logout_all(&self, requester: &Requester) -> Result<(), Error> {
        let user = requester.user();
        self.thin_out(user, Some(requester.device_id())).await?;
        let sessions = self.clone();
        let work = move |txn: &mut WriteTxn<'_>| sessions.delete_all(txn, user, None);
        self.inner.context.store.write(work).await
    }

    /// Ends the access tokens of a device but keeps the device, its keys and messages: the client
    /// may log in again.
    pub async fn soft_logout(&self, user_id: &UserId, device: &DeviceId) -> Result<(), Error> {
        let user = self.inner.context.load_user(user_id).await?;
        let (sessions, device) = (self.clone(), device.to_owned());
        let now_ms = self.inner.context.now_ms();
        let work = move |txn: &mut WriteTxn<'_>| {
            let row = device::find(txn, user, &device)?.ok_or(Error::NotFound("no such device"))?;
            let expired = tokens::expire_of_device(txn, row.number, now_ms)?;
            sessions.end_on_commit(txn, vec![row.number], expired);
            Ok(())
        };
        self.inner.context.store.write(work).await
    }

    /// Has the cache read the user's tokens again, since what stands in them has changed.
    pub(crate) fn reload_user(
        &self,
        txn: &mut WriteTxn<'_>,
        user: UserNumber,
    ) -> Result<(), Error> {
        let hashes = tokens::list_of_user(txn, user)?;
        self.forget_on_commit(txn, hashes);
        Ok(())
    }

    /// Writes when and where devices were seen. Called from time to time, and before the server
    /// stops.
    pub async fn flush_seen(&self) -> Result<(), Error> {
        self.inner.seen.flush(&self.inner.context.store).await
    }
}

impl Session {
    fn new(row: AccessTokenRow, token: TokenHash) -> Self {
        let (expires_ts, requester) = (row.expires_ts, Requester::new(row, token));
        Self { requester, expires_ts, noted_ts: AtomicU64::new(0) }
    }
}

/// An access token, perhaps with a refresh token, before they are written.
pub(crate) struct Pair {
    access: String,
    access_expires_ts: Option<u64>,
    refresh: Option<String>,
    refresh_expires_ts: Option<u64>,
    expires_in_ms: Option<u64>,
}

impl Pair {
    pub(crate) fn make(context: &Context, with_refresh: bool) -> Self {
        let settings = &context.settings().sessions;
        let now_ms = context.now_ms();
        let expires_in_ms = if with_refresh {
            settings.refreshable_access_token_lifetime_ms
        } else {
            settings.plain_access_token_lifetime_ms
        };
        let after = |lifetime: Option<u64>| lifetime.map(|ms| now_ms.saturating_add(ms));
        let random = &*context.random;
        Self {
            access: token::access_token(random),
            access_expires_ts: after(expires_in_ms),
            refresh: with_refresh.then(|| token::refresh_token(random)),
            refresh_expires_ts: after(settings.refresh_token_lifetime_ms),
            expires_in_ms,
        }
    }

    pub(crate) fn insert(
        &self,
        txn: &mut WriteTxn<'_>,
        device: i64,
        replaces: Option<TokenHash>,
    ) -> Result<(), Error> {
        let refresh = self.refresh.as_deref().map(token::hash);
        let hash = token::hash(&self.access);
        let expires_ts = self.access_expires_ts;
        let access = NewAccessToken { hash, device, expires_ts, refresh, replaces };
        tokens::insert_access(txn, &access)?;
        if let Some(refresh) = refresh {
            tokens::insert_refresh(txn, &refresh, device, self.refresh_expires_ts, replaces)?;
        }
        Ok(())
    }

    pub(crate) fn tokens(&self) -> Tokens {
        Tokens {
            access_token: self.access.clone(),
            refresh_token: self.refresh.clone(),
            expires_in_ms: self.expires_in_ms,
        }
    }
}

/// A session before it is written.
pub(crate) struct Opening {
    device_id: OwnedDeviceId,
    display_name: Option<String>,
    pair: Pair,
    seen: Seen,
    now_ms: u64,
}

impl Opening {
    pub(crate) fn prepare(context: &Context, session: NewSession) -> Result<Self, Error> {
        let device_id = match session.device_id {
            None => token::device_id(&*context.random),
            Some(id) if id.as_str().is_empty() || id.as_str().len() > MAX_DEVICE_ID_BYTES => {
                return Err(Error::InvalidParam("the device ID has no fitting length".to_owned()));
            }
            Some(id) => id,
        };
        // A log-in does not fail for the name of its device.
        let display_name = session
            .initial_device_display_name
            .map(|name| name.chars().take(MAX_DEVICE_NAME).collect());
        let pair = Pair::make(context, session.refresh_token);
        Ok(Self { device_id, display_name, pair, seen: session.seen, now_ms: context.now_ms() })
    }

    pub(crate) fn logged_in(&self, user_id: &UserId) -> LoggedIn {
        LoggedIn {
            user_id: user_id.to_owned(),
            device_id: self.device_id.clone(),
            tokens: self.pair.tokens(),
        }
    }
}

#[cfg(test)]
#[path = "session_test.rs"]
mod session_test;
