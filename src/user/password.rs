//! Password hashes: argon2id for ours, bcrypt for imported ones, on blocking threads with bounded concurrency.

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {}

/// Why a hash could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash function refused its parameters.
    #[error("cannot hash the password: {0}")]
    Hash(String),
}
