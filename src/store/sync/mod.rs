//! What `/sync` reads when the in-memory log does not reach back far enough.

pub mod moves;
pub mod places;

#[cfg(test)]
mod sync_test;
