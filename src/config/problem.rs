//! What can be wrong with a configuration. Problems are gathered, so that an administrator sees all
//! of them at once.

use std::fmt::{self, Write};

use crate::tree::Origin;

/// One thing that is wrong, with its place if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File and line; none when something is missing.
    pub origin: Option<Origin>,
    /// What is wrong, naming the key.
    pub reason: String,
}

impl Problem {
    /// A problem with a place.
    pub fn at(origin: &Origin, reason: impl Into<String>) -> Self {
        Self { origin: Some(origin.clone()), reason: reason.into() }
    }

    /// A problem without one.
    pub fn nowhere(reason: impl Into<String>) -> Self {
        Self { origin: None, reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.origin {
            Some(origin) => format!("{origin}: {}", self.reason),
            None => self.reason.clone(),
        };
        // A key, a value or the name of a file may hold anything, and a problem is one line.
        text.chars().try_for_each(|character| match character {
            _ if character.is_control() => write!(formatter, "{}", character.escape_default()),
            _ => formatter.write_char(character),
        })
    }
}

/// All that is wrong with a configuration; never empty. Displays as one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                formatter.write_str("\n")?;
            }
            problem.fmt(formatter)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
