//! What can go wrong with a `/sync`. Only the API above maps these to codes and statuses.

use crate::{filter::FilterError, token::TokenError};

/// Why a sync was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `since` is malformed or lies in the future (`M_INVALID_PARAM`).
    #[error("since: {0}")]
    Since(#[from] TokenError),
    /// The filter is not known or not valid (`M_INVALID_PARAM`).
    #[error("filter: {0}")]
    Filter(#[from] FilterError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Something is not in the database that has to be.
    #[error("the answer could not be completed from the database")]
    Incomplete,
    /// The rooms could not answer.
    #[error(transparent)]
    Room(#[from] room::RoomError),
    /// The user's data could not be read.
    #[error(transparent)]
    User(#[from] user::Error),
}
