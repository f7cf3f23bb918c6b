//! Who is asking.

use std::{net::IpAddr, sync::Arc};

use proto::number::UserNumber;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use store::user::token::{AccessTokenRow, TokenHash};

/// The authenticated caller of a request: whose token it carried. Shared, so that a request costs
/// no copies.
#[derive(Clone, Debug)]
pub struct Requester(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    user_id: OwnedUserId,
    user: UserNumber,
    device_id: OwnedDeviceId,
    device: i64,
    token: TokenHash,
    is_admin: bool,
    is_guest: bool,
}

/// Where a request came from, for the device's "last seen".
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The client's address, after `X-Forwarded-For` where a proxy is trusted.
    pub address: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

impl Requester {
    pub(crate) fn new(row: AccessTokenRow, token: TokenHash) -> Self {
        Self(Arc::new(Inner {
            user_id: row.user_id,
            user: row.user,
            device_id: row.device_id,
            device: row.device,
            token,
            is_admin: row.is_admin,
            is_guest: row.is_guest,
        }))
    }

    /// The user.
    pub fn user_id(&self) -> &UserId {
        &self.0.user_id
    }

    /// The user's number in the store.
    pub fn user(&self) -> UserNumber {
        self.0.user
    }

    /// The device that the token belongs to.
    pub fn device_id(&self) -> &DeviceId {
        &self.0.device_id
    }

    /// Whether the user administers this server.
    pub fn is_admin(&self) -> bool {
        self.0.is_admin
    }

    /// Whether the account is a guest's, who may do little.
    pub fn is_guest(&self) -> bool {
        self.0.is_guest
    }

    /// The token, as it is stored.
    pub(crate) fn token(&self) -> TokenHash {
        self.0.token
    }

    /// The device's number in the store.
    pub(crate) fn device(&self) -> i64 {
        self.0.device
    }
}
