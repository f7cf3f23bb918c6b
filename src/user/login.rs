//! Log-in: by password, by a login token.
//!
//! Invariant: neither the answer nor its time tells a wrong name from a wrong password. Login
//! tokens live in memory, not longer than the settings say, and work once.
//!
//! Spec: client-server API, "Login".

use ruma::{OwnedUserId, UserId};
use store::{
    WriteTxn,
    user::account::{self, AccountRow},
};

use crate::{
    Context, Error, Requester, Sessions,
    logins::LoginStats,
    password::{MAX_PASSWORD_BYTES, Verdict},
    session::{LoggedIn, NewSession},
    token, username,
};

/// How often a password is verified whose hash has changed meanwhile: another log-in may have
/// brought it up to date.
const LOGIN_TRIES: usize = 3;

const WRONG: Error = Error::BadCredentials("wrong user name or password");

/// A log-in by password.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// The localpart or the user ID, from `identifier.user` (type `m.id.user`) or the legacy
    /// `user`.
    pub user: String,
    /// The password.
    pub password: String,
}

/// A token of `/login/get_token`.
#[derive(Clone, Debug)]
pub struct LoginToken {
    /// The token.
    pub token: String,
    /// Milliseconds until it expires.
    pub expires_in_ms: u64,
}

impl Sessions {
    /// Logs in by password.
    pub async fn login(
        &self,
        login: PasswordLogin,
        session: NewSession,
    ) -> Result<LoggedIn, Error> {
        let outcome = self.try_login(login, session).await;
        self.inner.logins.note(outcome)
    }

    /// How many log-ins there were.
    pub fn logins(&self) -> LoginStats {
        self.inner.logins.read()
    }

    async fn try_login(
        &self,
        login: PasswordLogin,
        session: NewSession,
    ) -> Result<LoggedIn, Error> {
        if !self.inner.context.settings().passwords.enabled {
            return Err(Error::Forbidden("there is no log-in by password on this server"));
        }
        for _ in 0..LOGIN_TRIES {
            let account = self.find_login_account(&login.user).await?;
            if account.as_ref().is_some_and(|account| account.deactivated_ts.is_some()) {
                return Err(Error::UserDeactivated);
            }
            let password = login.password.clone();
            let proven = self.verify_password(account, password).await?.ok_or(WRONG)?;
            if let Some(logged_in) = self.open_proven(proven, session.clone()).await? {
                return Ok(logged_in);
            }
        }
        Err(WRONG)
    }

    /// Opens a session with a password; none if its hash was changed while it was being verified. A
    /// change of the password ends the sessions that there are, and none must slip in behind it.
    pub(crate) async fn open_proven(
        &self,
        proven: Proven,
        session: NewSession,
    ) -> Result<Option<LoggedIn>, Error> {
        let Proven { user_id, password_hash } = proven;
        let is_present = move |account: &AccountRow| {
            if account.password_hash == password_hash { Ok(()) } else { Err(WRONG) }
        };
        match self.open_if(&user_id, session, is_present).await {
            Err(Error::BadCredentials(_)) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// The account that somebody means: exactly as written, else in lower case, as names are
    /// registered.
    async fn find_login_account(&self, user: &str) -> Result<Option<AccountRow>, Error> {
        let context = &self.inner.context;
        let mut candidates: Vec<OwnedUserId> = [user.to_owned(), user.to_lowercase()]
            .iter()
            .filter_map(|user| username::parse_login(user, &context.server_name))
            .filter(|user_id| context.is_local(user_id))
            .collect();
        candidates.dedup();
        context
            .store
            .read(move |snapshot| {
                for user_id in &candidates {
                    if let Some(account) = account::find(snapshot, user_id)? {
                        return Ok(Some(account));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Whether it is the user's password; used where a logged-in user proves who she is.
    pub async fn check_password(&self, user_id: &UserId, password: String) -> Result<bool, Error> {
        let wanted = user_id.to_owned();
        let read = move |snapshot: &mut store::Snapshot<'_>| account::find(snapshot, &wanted);
        let account = self.inner.context.store.read(read).await?;
        Ok(self.verify_password(account, password).await?.is_some())
    }

    /// Whose password it is. An outdated hash is replaced now that the password is at hand.
    async fn verify_password(
        &self,
        account: Option<AccountRow>,
        password: String,
    ) -> Result<Option<Proven>, Error> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Ok(None);
        }
        let Inputs { hash, pepper } = Inputs::of(&self.inner.context, account.as_ref());
        let passwords = &self.inner.passwords;
        let verdict = passwords.verify(password.clone(), hash, pepper).await?;
        let Some(account) = account.filter(|_| verdict != Verdict::Wrong) else {
            return Ok(None);
        };
        let mut proven = Proven { user_id: account.user_id, password_hash: account.password_hash };
        if verdict == Verdict::Outdated {
            let renewed = passwords.hash(password).await?;
            let (user, old) = (account.user, proven.password_hash);
            proven.password_hash = Some(renewed.clone());
            let work = move |txn: &mut WriteTxn<'_>| {
                // Unless the password was changed meanwhile.
                let present = account::find_by_number(txn, user)?;
                if present.is_some_and(|present| present.password_hash == old) {
                    account::set_password(txn, user, Some(&renewed))?;
                }
                Ok::<_, Error>(())
            };
            self.inner.context.store.write(work).await?;
        }
        Ok(Some(proven))
    }

    /// Logs in with a login token, which works once.
    pub async fn login_with_token(
        &self,
        token: &str,
        session: NewSession,
    ) -> Result<LoggedIn, Error> {
        let outcome = self.try_login_with_token(token, session).await;
        self.inner.logins.note(outcome)
    }

    async fn try_login_with_token(
        &self,
        token: &str,
        session: NewSession,
    ) -> Result<LoggedIn, Error> {
        let now_ms = self.inner.context.now_ms();
        let user_id = self
            .inner
            .login_tokens
            .take(&token::hash(token), now_ms)
            .ok_or(Error::BadCredentials("the login token is not valid"))?;
        self.open(&user_id, session).await
    }

    /// Issues a login token for another device of the requester's user.
    pub fn issue_login_token(&self, requester: &Requester) -> Result<LoginToken, Error> {
        let context = &self.inner.context;
        let expires_in_ms = context
            .settings()
            .sessions
            .login_token_lifetime_ms
            .ok_or(Error::Forbidden("login tokens are disabled on this server"))?;
        let token = token::login_token(&*context.random);
        let now_ms = context.now_ms();
        let expires_ts = now_ms.saturating_add(expires_in_ms);
        self.inner.login_tokens.add(&token, requester.user_id(), expires_ts, now_ms)?;
        Ok(LoginToken { token, expires_in_ms })
    }
}

/// Who has proved to know the password of this hash.
pub(crate) struct Proven {
    pub(crate) user_id: OwnedUserId,
    pub(crate) password_hash: Option<String>,
}

/// What a password is compared with.
struct Inputs {
    hash: Option<String>,
    pepper: Option<std::sync::Arc<str>>,
}

impl Inputs {
    fn of(context: &Context, account: Option<&AccountRow>) -> Self {
        Self {
            hash: account.and_then(|account| account.password_hash.clone()),
            pepper: context.settings().passwords.bcrypt_pepper.clone(),
        }
    }
}
