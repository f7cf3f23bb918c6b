//! What can go wrong with users. The client API maps each case to one `M_…` code and status.

use ruma::OwnedUserId;

/// Why something about a user was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed: `M_UNKNOWN`, 500.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A room refused or failed; the room's own error says how.
    #[error(transparent)]
    Room(#[from] room::RoomError),
    /// `M_USER_IN_USE`, 400.
    #[error("the user ID is already taken")]
    UserInUse,
    /// `M_INVALID_USERNAME`, 400: the reason as a sentence.
    #[error("{0}")]
    InvalidUsername(&'static str),
    /// `M_WEAK_PASSWORD`, 400.
    #[error("{0}")]
    WeakPassword(WeakPassword),
    /// `M_FORBIDDEN`, 403: nobody can register here in this way.
    #[error("registration is disabled")]
    RegistrationDisabled,
    /// `M_GUEST_ACCESS_FORBIDDEN`, 403.
    #[error("guest access is disabled")]
    GuestAccessForbidden,
    /// `M_FORBIDDEN`, 403: wrong user, password, login token or shared-secret MAC; which one is not
    /// said.
    #[error("{0}")]
    BadCredentials(&'static str),
    /// `M_USER_DEACTIVATED`, 403.
    #[error("this account has been deactivated")]
    UserDeactivated,
    /// `M_FORBIDDEN`, 403: the reason as a sentence.
    #[error("{0}")]
    Forbidden(&'static str),
    /// `M_UNKNOWN_TOKEN`, 401.
    #[error("unknown or expired token")]
    UnknownToken {
        /// Whether the client may log in again and keep its encryption keys.
        soft_logout: bool,
    },
    /// `M_NOT_FOUND`, 404: what was not found, as a sentence.
    #[error("{0}")]
    NotFound(&'static str),
    /// `M_INVALID_PARAM`, 400: the reason as a sentence.
    #[error("{0}")]
    InvalidParam(String),
    /// `M_BAD_JSON`, 400: the reason as a sentence.
    #[error("{0}")]
    BadJson(String),
    /// `M_MISSING_PARAM`, 400: the missing parameter.
    #[error("missing parameter {0}")]
    MissingParam(&'static str),
    /// `M_TOO_LARGE`, 413: what is too large, as a sentence.
    #[error("{0}")]
    TooLarge(&'static str),
    /// `M_PROFILE_TOO_LARGE`, 400.
    #[error("the profile would exceed 64 KiB")]
    ProfileTooLarge,
    /// `M_KEY_TOO_LARGE`, 400.
    #[error("the name of the profile field exceeds 255 bytes")]
    KeyTooLarge,
    /// `M_LIMIT_EXCEEDED`, 429: too much of it is going on just now.
    #[error("{0}")]
    LimitExceeded(&'static str),
    /// `M_UNKNOWN`, 400: too much of it is stored, so that nobody shall try the same again.
    #[error("{0}")]
    Limit(&'static str),
    /// `M_BAD_JSON`, 405: an account data type that has an endpoint of its own.
    #[error("this account data is managed by an endpoint of its own")]
    ManagedAccountData,
    /// `M_NOT_FOUND`, 404 or `M_FORBIDDEN`, 403 as the endpoint says: the user is not local or not
    /// known.
    #[error("{0} is not a user of this server")]
    UnknownUser(OwnedUserId),
    /// `M_UNKNOWN`, 500: a password could not be hashed, or its stored hash is none.
    #[error("the password cannot be hashed: {0}")]
    PasswordHash(String),
    /// `M_UNKNOWN`, 500: a thread of work ended without an answer.
    #[error("the work was abandoned")]
    Abandoned,
}

/// What a password lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Shorter than the configured minimum.
    #[error("the password is too short")]
    TooShort,
    /// Longer than 512 bytes, Synapse's limit too.
    #[error("the password is too long")]
    TooLong,
    /// No digit.
    #[error("the password needs a digit")]
    NoDigit,
    /// Nothing but letters and digits.
    #[error("the password needs a symbol")]
    NoSymbol,
    /// No lower-case letter.
    #[error("the password needs a lower-case letter")]
    NoLowercase,
    /// No upper-case letter.
    #[error("the password needs an upper-case letter")]
    NoUppercase,
}
