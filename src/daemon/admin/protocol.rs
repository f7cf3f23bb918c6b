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
/// Path of [`CreateToken`], answered by [`ListedToken`].
pub(crate) const CREATE_TOKEN: &str = "/registration-token/create";
/// Path of [`ListTokens`], answered by [`Tokens`].
pub(crate) const LIST_TOKENS: &str = "/registration-token/list";
/// Path of [`RemoveToken`], answered by the same.
pub(crate) const REMOVE_TOKEN: &str = "/registration-token/remove";
/// Path of [`CheckConnection`].
pub(crate) const CHECK_CONNECTION: &str = "/check-connection";
/// Path that reloads, answered by [`ReloadVerdict`].
pub(crate) const RELOAD: &str = "/reload";

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

/// Makes a registration token.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateToken {
    /// The token; none makes a random one.
    pub(crate) token: Option<String>,
    /// How many accounts can be made with it; none is any number.
    pub(crate) uses: Option<u64>,
    /// For how long it is good; none is for ever.
    pub(crate) lifetime_ms: Option<u64>,
}

/// Lists registration tokens.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTokens {}

/// All registration tokens.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Tokens {
    /// The tokens.
    pub(crate) tokens: Vec<ListedToken>,
}

/// A registration token.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ListedToken {
    /// The token.
    pub(crate) token: String,
    /// How many accounts can be made with it; none is any number.
    pub(crate) uses: Option<u64>,
    /// How many were made with it.
    pub(crate) used: u64,
    /// For how long it is good yet; none is for ever.
    pub(crate) expires_in_ms: Option<u64>,
    /// Whether somebody could register with it now.
    pub(crate) is_valid: bool,
}

/// Removes a registration token.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveToken {
    /// The token.
    pub(crate) token: String,
}

/// Tries to connect to somewhere.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckConnection {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

/// What became of the try.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct CheckedConnection {
    /// Each address of the name, and what became of it.
    pub(crate) addresses: Vec<CheckedAddress>,
    /// The broker's socket, if the way leads through one.
    pub(crate) broker: Option<String>,
    /// What TLS was agreed on, if it was.
    pub(crate) tls: Option<String>,
    /// The certificate that was shown, trusted or not.
    pub(crate) certificate: Option<ShownCertificate>,
    /// Why something does not work; none if all does.
    pub(crate) error: Option<String>,
}

/// One address of a name.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct CheckedAddress {
    /// The address.
    pub(crate) address: String,
    /// What became of it, in words.
    pub(crate) fate: String,
}

/// What a certificate says.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct ShownCertificate {
    /// The names and addresses that it is for.
    pub(crate) names: Vec<String>,
    /// Who issued it.
    pub(crate) issuer: String,
    /// When it begins to be valid.
    pub(crate) not_before: String,
    /// When it expires.
    pub(crate) not_after: String,
}

/// What came of a reload.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct ReloadVerdict {
    /// Why it was refused, a line for each reason; none if it was applied.
    pub(crate) refused: Vec<String>,
    /// Settings that are in force now, each with its value.
    pub(crate) applied: Vec<String>,
    /// Settings that wait for a restart, each with the value that waits.
    pub(crate) waiting: Vec<String>,
}

/// Why it was not.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Refused {
    /// A sentence for the administrator.
    pub(crate) error: String,
}
