//! The event format: which fields an event must have, and how large they may be.

use crate::json::JsonError;

/// Why a text is no event of its room version: it is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is no JSON of the room version's form.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field that must be there is missing.
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    /// A field has another type or format than specified.
    #[error("the event's `{0}` is invalid")]
    Invalid(&'static str),
    /// A field is longer than [`crate::size`] allows.
    #[error("the event's `{0}` is too long")]
    TooLong(&'static str),
    /// The whole event has more than [`crate::size::MAX_EVENT_BYTES`] bytes.
    #[error("the event is larger than 65536 bytes")]
    TooLarge,
}
