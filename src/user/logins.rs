//! How many log-ins there were, by what came of them.

use proto::meter::Counter;

use crate::Error;

/// Log-ins until now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginStats {
    /// Those that opened a session.
    pub done: u64,
    /// Those with wrong credentials, or of users who may not.
    pub refused: u64,
    /// Those that the server could not decide.
    pub failed: u64,
}

/// Counted at each log-in.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    done: Counter,
    refused: Counter,
    failed: Counter,
}

impl Logins {
    /// Counts a log-in by what came of it.
    pub(crate) fn note<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        let counter = match &outcome {
            Ok(_) => &self.done,
            Err(Error::BadCredentials(_) | Error::UserDeactivated | Error::Forbidden(_)) => {
                &self.refused
            }
            Err(_) => &self.failed,
        };
        counter.increment();
        outcome
    }

    /// What was counted.
    pub(crate) fn read(&self) -> LoginStats {
        let Self { done, refused, failed } = self;
        LoginStats { done: done.get(), refused: refused.get(), failed: failed.get() }
    }
}
