//! The bodies that the commands and the server exchange over the admin socket.

use serde::{Deserialize, Serialize};

/// Path of [`CreateUser`].
pub(crate) const CREATE: &str = "/user/create";
/// Path of [`ListUsers`].
pub(crate) const LIST: &str = "/user/list";
/// Path of [`DeactivateUser`].
pub(crate) const DEACTIVATE: &str = "/user/deactivate";
/// Path of [`ResetPassword`].
pub(crate) const RESET_PASSWORD: &str = "/user/reset-password";
/// Path of [`SetAdmin`].
pub(crate) const SET_ADMIN: &str = "/user/set-admin";

/// Makes an account.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUser {
    /// The part of the user id between @ and colon, or all of it.
    pub(crate) user: String,
    /// The password.
    pub(crate) password: String,
    /// Whether the user administers the server.
    pub(crate) admin: bool,
    /// The display name, if it is to be another than the user's name.
    pub(crate) display_name: Option<String>,
}

/// Lists accounts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUsers {
    /// Only those with this in their name or display name.
    pub(crate) search: Option<String>,
    /// Deactivated ones, too.
    pub(crate) deactivated: bool,
    /// Guests, too.
    pub(crate) guests: bool,
    /// Goes on behind this account.
    pub(crate) after: Option<i64>,
}

/// A page of accounts.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Users {
    /// The accounts.
    pub(crate) users: Vec<ListedUser>,
    /// Where the next page goes on; none on the last one.
    pub(crate) next: Option<i64>,
}

/// One account of a list.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ListedUser {
    /// The whole user id.
    pub(crate) user_id: String,
    /// The display name.
    pub(crate) display_name: Option<String>,
    /// Whether the user administers the server.
    pub(crate) admin: bool,
    /// Whether the account is a guest's.
    pub(crate) guest: bool,
    /// Whether it is deactivated.
    pub(crate) deactivated: bool,
}

/// Deactivates an account for good.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeactivateUser {
    /// The user.
    pub(crate) user: String,
    /// Whether the user's events are hidden from whoever comes later.
    pub(crate) erase: bool,
}

/// Sets a new password.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetPassword {
    /// The user.
    pub(crate) user: String,
    /// The new password.
    pub(crate) password: String,
    /// Whether all sessions of the user end.
    pub(crate) logout: bool,
}

/// Makes somebody an administrator, or takes it away.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAdmin {
    /// The user.
    pub(crate) user: String,
    /// Whether the user administers the server.
    pub(crate) admin: bool,
}

/// The user that a command was done to.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Done {
    /// The whole user id.
    pub(crate) user_id: String,
}

/// Why it was not.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Refused {
    /// A sentence for the administrator.
    pub(crate) error: String,
}
