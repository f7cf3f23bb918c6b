//! The one table from what can go wrong to statuses and `M_…` codes.
//!
//! Invariant: what happened inside the server (a database that is away) is logged, never told.
//!
//! Spec: client-server API, "Standard error response".

use std::{borrow::Cow, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use proto::auth::DeniedKind;
use room::RoomError;
use ruma::{RoomVersionId, api::client::uiaa::UiaaInfo};
use serde_json::{Map, Value};
use user::uia::UiaError;

/// A status and the code that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    status: StatusCode,
    code: &'static str,
}

const fn kind(status: StatusCode, code: &'static str) -> Kind {
    Kind { status, code }
}

pub(crate) const BAD_ALIAS: Kind = kind(StatusCode::BAD_REQUEST, "M_BAD_ALIAS");
pub(crate) const BAD_JSON: Kind = kind(StatusCode::BAD_REQUEST, "M_BAD_JSON");
pub(crate) const BAD_STATE: Kind = kind(StatusCode::FORBIDDEN, "M_BAD_STATE");
pub(crate) const CANNOT_SET: Kind = kind(StatusCode::METHOD_NOT_ALLOWED, "M_BAD_JSON");
pub(crate) const CONFLICT: Kind = kind(StatusCode::CONFLICT, "M_UNKNOWN");
pub(crate) const FORBIDDEN: Kind = kind(StatusCode::FORBIDDEN, "M_FORBIDDEN");
pub(crate) const GUEST: Kind = kind(StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN");
pub(crate) const INCOMPATIBLE_VERSION: Kind =
    kind(StatusCode::BAD_REQUEST, "M_INCOMPATIBLE_ROOM_VERSION");
pub(crate) const INTERNAL: Kind = kind(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN");
pub(crate) const INVALID_PARAM: Kind = kind(StatusCode::BAD_REQUEST, "M_INVALID_PARAM");
pub(crate) const INVALID_ROOM_STATE: Kind = kind(StatusCode::BAD_REQUEST, "M_INVALID_ROOM_STATE");
pub(crate) const INVALID_USERNAME: Kind = kind(StatusCode::BAD_REQUEST, "M_INVALID_USERNAME");
pub(crate) const INVITE_BLOCKED: Kind = kind(StatusCode::FORBIDDEN, "M_INVITE_BLOCKED");
pub(crate) const KEY_TOO_LARGE: Kind = kind(StatusCode::BAD_REQUEST, "M_KEY_TOO_LARGE");
pub(crate) const LIMIT_EXCEEDED: Kind = kind(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED");
pub(crate) const MISSING_PARAM: Kind = kind(StatusCode::BAD_REQUEST, "M_MISSING_PARAM");
pub(crate) const MISSING_TOKEN: Kind = kind(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN");
pub(crate) const NO_PEER: Kind = kind(StatusCode::BAD_GATEWAY, "M_UNKNOWN");
pub(crate) const NOT_FOUND: Kind = kind(StatusCode::NOT_FOUND, "M_NOT_FOUND");
pub(crate) const NOT_JSON: Kind = kind(StatusCode::BAD_REQUEST, "M_NOT_JSON");
pub(crate) const PROFILE_TOO_LARGE: Kind = kind(StatusCode::BAD_REQUEST, "M_PROFILE_TOO_LARGE");
pub(crate) const ROOM_IN_USE: Kind = kind(StatusCode::BAD_REQUEST, "M_ROOM_IN_USE");
pub(crate) const THREEPID_DENIED: Kind = kind(StatusCode::FORBIDDEN, "M_THREEPID_DENIED");
pub(crate) const TIMED_OUT: Kind = kind(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN");
pub(crate) const TOO_LARGE: Kind = kind(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE");
pub(crate) const UNABLE_TO_AUTHORISE: Kind =
    kind(StatusCode::BAD_REQUEST, "M_UNABLE_TO_AUTHORISE_JOIN");
pub(crate) const UNABLE_TO_GRANT: Kind = kind(StatusCode::BAD_REQUEST, "M_UNABLE_TO_GRANT_JOIN");
pub(crate) const UNKNOWN: Kind = kind(StatusCode::BAD_REQUEST, "M_UNKNOWN");
pub(crate) const UNKNOWN_METHOD: Kind = kind(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED");
pub(crate) const UNKNOWN_PATH: Kind = kind(StatusCode::NOT_FOUND, "M_UNRECOGNIZED");
pub(crate) const UNKNOWN_TOKEN: Kind = kind(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN");
pub(crate) const UNRECOGNIZED: Kind = kind(StatusCode::BAD_REQUEST, "M_UNRECOGNIZED");
pub(crate) const UNSUPPORTED_VERSION: Kind =
    kind(StatusCode::BAD_REQUEST, "M_UNSUPPORTED_ROOM_VERSION");
pub(crate) const USER_DEACTIVATED: Kind = kind(StatusCode::FORBIDDEN, "M_USER_DEACTIVATED");
pub(crate) const USER_IN_USE: Kind = kind(StatusCode::BAD_REQUEST, "M_USER_IN_USE");
pub(crate) const WEAK_PASSWORD: Kind = kind(StatusCode::BAD_REQUEST, "M_WEAK_PASSWORD");

/// When to try again what too many are doing just now.
const BUSY_WAIT: Duration = Duration::from_secs(1);

impl Kind {
    /// An error of this kind with a sentence for people.
    pub(crate) fn with(self, text: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError(Box::new(Inner { kind: self, text: text.into(), extra: Extra::None, cause: None }))
    }
}

/// Why a request is not answered as it wished.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    text: Cow<'static, str>,
    extra: Extra,
    cause: Option<Cause>,
}

/// Why a request failed that should not have.
#[derive(Debug)]
pub(crate) struct Cause {
    pub(crate) text: String,
    /// Whether the log is told of it anyway, once and not by each request.
    pub(crate) is_told: bool,
}

/// What an error says besides code and text.
#[derive(Debug)]
enum Extra {
    None,
    SoftLogout(bool),
    RetryAfter(Duration),
    RoomVersion(RoomVersionId),
    /// A body of its own, which is JSON.
    Body(Vec<u8>),
}

/// An error as its answer tells it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// JSON.
    pub(crate) body: Bytes,
    /// Seconds until it may be tried again.
    pub(crate) retry_after_s: Option<u64>,
}

impl ApiError {
    /// Something that only the administrator can help with.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        let mut error = INTERNAL.with("Internal server error");
        error.0.cause = Some(Cause { text: cause.to_string(), is_told: false });
        error
    }

    /// The store failed. That the database is away or full, it says itself.
    fn of_store(error: &store::Error, cause: impl std::fmt::Display) -> Self {
        use store::Error;
        let is_told = matches!(error, Error::Unavailable(_) | Error::Lost(_) | Error::Full(_));
        let mut failed = Self::internal(cause);
        if let Some(cause) = &mut failed.0.cause {
            cause.is_told = is_told;
        }
        failed
    }

    /// Too much of something; `wait` is when it may be tried again.
    pub(crate) fn too_many(wait: Duration) -> Self {
        let mut error = LIMIT_EXCEEDED.with("Too many requests");
        error.0.extra = Extra::RetryAfter(wait);
        error
    }

    /// A token that is none any more.
    pub(crate) fn unknown_token(soft_logout: bool) -> Self {
        let mut error = UNKNOWN_TOKEN.with("Unknown or expired access token");
        error.0.extra = Extra::SoftLogout(soft_logout);
        error
    }

    /// The same as an error of another kind, if it is of the first one.
    pub(crate) fn or_as(self, from: Kind, to: Kind) -> Self {
        if self.0.kind == from { to.with(self.0.text) } else { self }
    }

    #[cfg(test)]
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.0.kind == kind
    }

    /// What the log is to be told, if anything.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.0.cause.as_ref()
    }

    /// What the answer says: its status, its body, and when to try again.
    pub(crate) fn into_answer(self) -> Answer {
        let Inner { kind, text, extra, .. } = *self.0;
        let mut body = Map::new();
        body.insert("errcode".to_owned(), kind.code.into());
        body.insert("error".to_owned(), text.into());
        let mut retry_after_s = None;
        match extra {
            Extra::None => {}
            Extra::SoftLogout(soft) => drop(body.insert("soft_logout".to_owned(), soft.into())),
            Extra::RetryAfter(wait) => {
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                body.insert("retry_after_ms".to_owned(), wait_ms.into());
                retry_after_s = Some(wait_ms.div_ceil(1000));
            }
            Extra::RoomVersion(version) => {
                body.insert("room_version".to_owned(), version.as_str().into());
            }
            Extra::Body(body) => {
                return Answer { status: kind.status, body: body.into(), retry_after_s };
            }
        }
        let body = Value::Object(body).to_string().into();
        Answer { status: kind.status, body, retry_after_s }
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        Self::of_store(&error, &error)
    }
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        let text = error.to_string();
        match error {
            RoomError::Store(error) => Self::of_store(&error, text),
            RoomError::Busy | RoomError::Damaged(_) => Self::internal(text),
            // What has not the form that the rules can be applied to is no question of rights.
            RoomError::Denied(denied) if denied.kind == DeniedKind::Malformed => {
                BAD_JSON.with(text)
            }
            RoomError::Denied(_) | RoomError::Forbidden(_) | RoomError::NotInRoom => {
                FORBIDDEN.with(text)
            }
            RoomError::BadState(_) => BAD_STATE.with(text),
            RoomError::InviteBlocked => INVITE_BLOCKED.with(text),
            RoomError::RoomNotFound
            | RoomError::EventNotFound
            | RoomError::StateNotFound
            | RoomError::AliasNotFound => NOT_FOUND.with(text),
            RoomError::AliasTaken => ROOM_IN_USE.with(text),
            RoomError::BadAlias(_) => BAD_ALIAS.with(text),
            RoomError::TooLarge => TOO_LARGE.with(text),
            RoomError::BadContent(_) => BAD_JSON.with(text),
            RoomError::InvalidParam(_) => INVALID_PARAM.with(text),
            RoomError::InvalidRoomState(_) => INVALID_ROOM_STATE.with(text),
            RoomError::UnsupportedVersion(_) => UNSUPPORTED_VERSION.with(text),
            RoomError::IncompatibleVersion(version) => {
                let mut error = INCOMPATIBLE_VERSION.with(text);
                error.0.extra = Extra::RoomVersion(version);
                error
            }
            RoomError::UnableToGrantJoin => UNABLE_TO_GRANT.with(text),
            RoomError::UnableToAuthoriseJoin => UNABLE_TO_AUTHORISE.with(text),
            RoomError::StillInRoom | RoomError::Dropped { .. } | RoomError::Limit(_) => {
                UNKNOWN.with(text)
            }
            RoomError::Peer(_) => NO_PEER.with(text),
        }
    }
}

impl From<user::Error> for ApiError {
    fn from(error: user::Error) -> Self {
        use user::Error;
        let error = match error {
            Error::Room(error) => return error.into(),
            Error::UnknownToken { soft_logout } => return Self::unknown_token(soft_logout),
            Error::LimitExceeded(text) => {
                let mut error = LIMIT_EXCEEDED.with(text);
                error.0.extra = Extra::RetryAfter(BUSY_WAIT);
                return error;
            }
            error => error,
        };
        let kind = match &error {
            Error::UserInUse => USER_IN_USE,
            Error::InvalidUsername(_) => INVALID_USERNAME,
            Error::WeakPassword(_) => WEAK_PASSWORD,
            Error::RegistrationDisabled
            | Error::BadCredentials(_)
            | Error::Forbidden(_)
            | Error::UnknownUser(_) => FORBIDDEN,
            Error::GuestAccessForbidden => GUEST,
            Error::UserDeactivated => USER_DEACTIVATED,
            Error::NotFound(_) => NOT_FOUND,
            Error::InvalidParam(_) => INVALID_PARAM,
            Error::BadJson(_) => BAD_JSON,
            Error::MissingParam(_) => MISSING_PARAM,
            Error::TooLarge(_) => TOO_LARGE,
            Error::ProfileTooLarge => PROFILE_TOO_LARGE,
            Error::KeyTooLarge => KEY_TOO_LARGE,
            Error::Limit(_) => UNKNOWN,
            Error::ManagedAccountData => CANNOT_SET,
            Error::Store(error) => return error.clone().into(),
            Error::Abandoned
            | Error::PasswordHash(_)
            | Error::Room(_)
            | Error::LimitExceeded(_)
            | Error::UnknownToken { .. } => return Self::internal(error),
        };
        kind.with(error.to_string())
    }
}

impl From<sync::Error> for ApiError {
    fn from(error: sync::Error) -> Self {
        use sync::Error;
        match error {
            Error::Store(error) => error.into(),
            Error::Room(error) => error.into(),
            Error::User(error) => error.into(),
            Error::Since(_) | Error::Filter(_) => INVALID_PARAM.with(error.to_string()),
            Error::Incomplete => Self::internal(error),
        }
    }
}

impl From<UiaError> for ApiError {
    fn from(error: UiaError) -> Self {
        match error {
            UiaError::Challenge(info) => challenge(&info),
            UiaError::Other(error) => error.into(),
        }
    }
}

/// The answer that asks for (further) authentication. Clients expect `params` even where there are
/// none.
fn challenge(info: &UiaaInfo) -> ApiError {
    let body = serde_json::to_value(info).map(|mut body| {
        if let Some(body) = body.as_object_mut() {
            body.entry("params").or_insert_with(|| Value::Object(Map::new()));
        }
        body.to_string().into_bytes()
    });
    match body {
        Ok(body) => {
            let mut error = kind(StatusCode::UNAUTHORIZED, "M_FORBIDDEN").with("");
            error.0.extra = Extra::Body(body);
            error
        }
        Err(error) => ApiError::internal(error),
    }
}

#[cfg(test)]
#[path = "error_test.rs"]
mod tests;
