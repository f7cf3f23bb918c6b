//! Log-in: by password, by a login token.

use crate::{Error, Requester, Sessions, session::{LoggedIn, NewSession}};

/// A log-in by password.
#[derive(Clone, Debug)]
pub struct PasswordLogin {
    /// The localpart or the user ID, from `identifier.user` (type `m.id.user`) or the legacy `user`.
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
        let _ = (login, session);
        todo!()
    }

    /// Logs in with a login token, which works once.
    pub async fn login_with_token(
        &self,
        token: &str,
        session: NewSession,
    ) -> Result<LoggedIn, Error> {
        let _ = (token, session);
        todo!()
    }

    /// Issues a login token for another device of the requester's user.
    pub async fn issue_login_token(&self, requester: &Requester) -> Result<LoginToken, Error> {
        let _ = requester;
        todo!()
    }
}
