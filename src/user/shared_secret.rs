//! Registration with the shared secret: the nonce protocol of Synapse's `/_synapse/admin/v1/register`.

use crate::{Error, account::Registered, session::NewSession};

/// Registration with the shared secret.
#[derive(Clone)]
pub struct SharedSecret {}

/// The body of the registration request.
#[derive(Clone, Debug)]
pub struct SharedSecretRegistration {
    /// A nonce that this server handed out; it works once, for 60 seconds.
    pub nonce: String,
    /// The localpart.
    pub username: String,
    /// The display name, if it is to be another than the localpart.
    pub displayname: Option<String>,
    /// The password.
    pub password: String,
    /// Whether the account administers the server.
    pub admin: bool,
    /// A `user_type`, which enters the MAC; none is known here.
    pub user_type: Option<String>,
    /// HMAC-SHA1 in hexadecimal over nonce, username, password, `admin` or `notadmin`, and the type, with NULs between.
    pub mac: String,
    /// The session to open at once; none is `inhibit_login`.
    pub login: Option<NewSession>,
}

impl SharedSecret {
    /// A fresh nonce; `RegistrationDisabled` when there is no shared secret.
    pub fn issue_nonce(&self) -> Result<String, Error> {
        todo!()
    }

    /// Makes the account.
    pub async fn register(
        &self,
        registration: SharedSecretRegistration,
    ) -> Result<Registered, Error> {
        let _ = registration;
        todo!()
    }
}
