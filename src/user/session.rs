//! Sessions: access and refresh tokens, authentication, logout. Tokens are opaque and stored only as SHA-256.

use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use crate::{Error, Requester, Seen};

/// Sessions of local users, and their devices.
#[derive(Clone)]
pub struct Sessions {}

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
    /// Who a token belongs to. Answered from a bounded cache; only an unknown token asks the database, and unknown ones
    /// are remembered too. Marks the device as seen, which is written later and in batches.
    pub async fn authenticate(&self, token: &str, seen: &Seen) -> Result<Requester, Error> {
        let _ = (token, seen);
        todo!()
    }

    /// Opens a session for a user whose identity is established (a registration, an administrator).
    pub async fn open(&self, user_id: &UserId, session: NewSession) -> Result<LoggedIn, Error> {
        let _ = (user_id, session);
        todo!()
    }

    /// Exchanges a refresh token for new tokens. The old ones stay valid until one of the new ones is used.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, Error> {
        let _ = refresh_token;
        todo!()
    }

    /// Ends the requester's session and forgets its device.
    pub async fn logout(&self, requester: &Requester) -> Result<(), Error> {
        let _ = requester;
        todo!()
    }

    /// Ends all sessions of the requester's user and forgets the devices.
    pub async fn logout_all(&self, user_id: &UserId) -> Result<(), Error> {
        let _ = user_id;
        todo!()
    }

    /// Ends the access tokens of a device but keeps the device, its keys and messages: the client may log in again.
    pub async fn soft_logout(&self, user_id: &UserId, device: &ruma::DeviceId) -> Result<(), Error> {
        let _ = (user_id, device);
        todo!()
    }
}
