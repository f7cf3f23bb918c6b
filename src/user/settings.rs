//! The settings of this crate; the daemon makes them from the configuration and a reload swaps
//! them.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A handle whose content a reload swaps.
pub type SettingsHandle = Arc<ArcSwap<Settings>>;

/// Everything about users that an administrator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who may register.
    pub registration: RegistrationSettings,
    /// What a password has to be like.
    pub passwords: PasswordSettings,
    /// How long tokens live.
    pub sessions: SessionSettings,
    /// What users may change in their profiles.
    pub profiles: ProfileSettings,
    /// Who finds whom in the user directory.
    pub directory: DirectorySettings,
    /// Whether presence is kept at all; without it everybody looks offline.
    pub presence_enabled: bool,
    /// Memory for the caches of this crate, in bytes. Taken at the start.
    pub cache_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registration: RegistrationSettings::default(),
            passwords: PasswordSettings::default(),
            sessions: SessionSettings::default(),
            profiles: ProfileSettings::default(),
            directory: DirectorySettings::default(),
            presence_enabled: true,
            cache_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Who may register.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of an administrator")]
pub struct RegistrationSettings {
    /// Whether `/register` makes accounts. Shared-secret registration works without it.
    pub enabled: bool,
    /// Whether `/register` asks for a registration token.
    pub requires_token: bool,
    /// Whether `/register?kind=guest` makes guest accounts.
    pub guests: bool,
    /// The secret of `/_synapse/admin/v1/register`; none switches that endpoint off.
    pub shared_secret: Option<Arc<str>>,
    /// Whether `/register/available` answers.
    pub availability_check: bool,
}

impl std::fmt::Debug for RegistrationSettings {
    /// Leaves the secret out: settings are logged when they change.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrationSettings")
            .field("enabled", &self.enabled)
            .field("requires_token", &self.requires_token)
            .field("guests", &self.guests)
            .field("shared_secret", &self.shared_secret.as_ref().map(|_| "…"))
            .field("availability_check", &self.availability_check)
            .finish()
    }
}

/// What a password has to be like, and whether there is log-in by password at all.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of an administrator")]
pub struct PasswordSettings {
    /// Whether users log in by password.
    pub enabled: bool,
    /// The least number of characters.
    pub minimum_length: usize,
    /// At least one digit.
    pub require_digit: bool,
    /// At least one character that is neither letter nor digit.
    pub require_symbol: bool,
    /// At least one lower-case letter.
    pub require_lowercase: bool,
    /// At least one upper-case letter.
    pub require_uppercase: bool,
    /// Appended to passwords before bcrypt hashes that came from Synapse are verified.
    pub bcrypt_pepper: Option<Arc<str>>,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            minimum_length: 1,
            require_digit: false,
            require_symbol: false,
            require_lowercase: false,
            require_uppercase: false,
            bcrypt_pepper: None,
        }
    }
}

impl std::fmt::Debug for PasswordSettings {
    /// Leaves the pepper out: settings are logged when they change.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordSettings")
            .field("enabled", &self.enabled)
            .field("minimum_length", &self.minimum_length)
            .field("require_digit", &self.require_digit)
            .field("require_symbol", &self.require_symbol)
            .field("require_lowercase", &self.require_lowercase)
            .field("require_uppercase", &self.require_uppercase)
            .finish_non_exhaustive()
    }
}

/// How long tokens live. None is for ever.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Lifetime of an access token that comes with a refresh token.
    pub refreshable_access_token_lifetime_ms: Option<u64>,
    /// Lifetime of an access token without a refresh token.
    pub plain_access_token_lifetime_ms: Option<u64>,
    /// Lifetime of a refresh token that nobody uses.
    pub refresh_token_lifetime_ms: Option<u64>,
    /// Lifetime of a token of `/login/get_token`; none switches that endpoint off.
    pub login_token_lifetime_ms: Option<u64>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            refreshable_access_token_lifetime_ms: Some(300_000),
            plain_access_token_lifetime_ms: None,
            refresh_token_lifetime_ms: None,
            login_token_lifetime_ms: None,
        }
    }
}

/// What users may change in their profiles.
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    /// `displayname`; it can always be set once while it is empty.
    pub set_displayname: bool,
    /// `avatar_url`; it can always be set once while it is empty.
    pub set_avatar_url: bool,
}

impl Default for ProfileSettings {
    fn default() -> Self {
        Self { set_displayname: true, set_avatar_url: true }
    }
}

/// Who finds whom in the user directory.
#[derive(Clone, Debug)]
pub struct DirectorySettings {
    /// Whether searches find anybody.
    pub enabled: bool,
    /// Whether searches find every local user, not only those in public rooms and in rooms shared
    /// with the searcher.
    pub search_all_users: bool,
}

impl Default for DirectorySettings {
    fn default() -> Self {
        Self { enabled: true, search_all_users: false }
    }
}
