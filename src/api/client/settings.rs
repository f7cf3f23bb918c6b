//! The settings of this crate; the daemon makes them from the configuration and a reload swaps
//! them.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use crate::rate::RateLimits;

/// A handle whose content a reload swaps.
pub type SettingsHandle = Arc<ArcSwap<Settings>>;

/// Everything about the client-server API that an administrator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients reach the server, as `/.well-known/matrix/client` and `/login` tell them;
    /// without it neither does.
    pub public_base_url: Option<String>,
    /// The host and port that `/.well-known/matrix/server` tells other servers; without it there is
    /// no such answer.
    pub delegated_server: Option<String>,
    /// Whom to ask for help; without it `/.well-known/matrix/support` is not answered.
    pub support: Option<Support>,
    /// How often somebody may do something.
    pub rate_limits: RateLimits,
    /// The TURN server for calls; without it clients are told that there is none.
    pub turn: Option<Turn>,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_base_url: None,
            delegated_server: None,
            support: None,
            rate_limits: RateLimits::default(),
            turn: None,
            body_timeout: Duration::from_mins(1),
        }
    }
}

/// Whom to ask for help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// The people in charge.
    pub contacts: Vec<Contact>,
    /// A page with help for this server's users.
    pub page: Option<String>,
}

/// One of the people in charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// `m.role.admin`, `m.role.security` or a namespaced role.
    pub role: String,
    /// The Matrix user.
    pub matrix_id: Option<String>,
    /// The mail address.
    pub email_address: Option<String>,
}

/// A TURN server that shares a secret with this one.
#[derive(Clone)]
pub struct Turn {
    /// The server's addresses.
    pub uris: Vec<String>,
    /// What makes the password of a user.
    pub shared_secret: Arc<str>,
    /// How long a password lives.
    pub user_lifetime: Duration,
}

impl std::fmt::Debug for Turn {
    /// Leaves the secret out: settings are logged when they change.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn")
            .field("uris", &self.uris)
            .field("user_lifetime", &self.user_lifetime)
            .finish_non_exhaustive()
    }
}
