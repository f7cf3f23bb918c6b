//! Why a command did not do what it was told: lines for the administrator and an exit status.

use std::fmt::Display;

/// A usual failure.
pub(crate) const FAILED: u8 = 1;
/// The configuration is missing or wrong: `EX_CONFIG` of sysexits(3), which service managers know.
pub(crate) const BAD_CONFIGURATION: u8 = 78;

/// What is written to standard error, and the exit status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One line, or one for each problem of a configuration.
    pub(crate) message: String,
    /// The exit status.
    pub(crate) status: u8,
}

impl Failure {
    /// A usual failure. The message is made one line, so that it stays one record of a log.
    pub(crate) fn new(message: impl Display) -> Self {
        let message = message.to_string();
        let lines: Vec<_> =
            message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Self { message: lines.join("; "), status: FAILED }
    }
}

impl From<config::Problems> for Failure {
    fn from(problems: config::Problems) -> Self {
        Self { message: problems.to_string(), status: BAD_CONFIGURATION }
    }
}

impl From<config::Problem> for Failure {
    fn from(problem: config::Problem) -> Self {
        config::Problems(vec![problem]).into()
    }
}
