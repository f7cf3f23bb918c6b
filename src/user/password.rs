//! Password hashes: argon2id for ours, bcrypt for those that came from Synapse.
//!
//! Hashing is slow and takes memory on purpose, so it runs on blocking threads, at most
//! [`Passwords::new`]'s `permits` at a time and at most [`MAX_WAITING`] in line: a burst of log-ins
//! takes neither the threads that chat runs on nor memory beyond `permits` × 19 MiB.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use proto::clock::SharedRandom;
use tokio::sync::Semaphore;

use crate::{Error, WeakPassword, settings::PasswordSettings};

/// OWASP's first choice for argon2id: 19 MiB of memory, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes that may wait for their turn; more are refused.
const MAX_WAITING: usize = 512;

/// The longest password in bytes, as in Synapse.
pub(crate) const MAX_PASSWORD_BYTES: usize = 512;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    random: SharedRandom,
}

/// Why a hash could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash function refused the password, its parameters or the stored hash.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
    /// Too many are waiting for a hash.
    #[error("too many log-ins at once")]
    Busy,
    /// The thread ended without an answer, as when the process stops.
    #[error("the work was abandoned")]
    Abandoned,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another password.
    Wrong,
    /// The password, hashed as new ones are.
    Right,
    /// The password, hashed in an older way: the caller stores a new hash.
    Outdated,
}

impl Passwords {
    /// `permits` hashes at a time; half the processors leaves room for everything else.
    pub fn new(permits: usize, random: SharedRandom) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits.max(1))), waiting: Arc::default(), random }
    }

    /// The hash of a password as a PHC string.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let mut salt = [0_u8; 16];
        self.random.fill(&mut salt);
        self.run(move || hash_argon2(password.as_bytes(), &salt)).await?
    }

    /// Compares a password with a stored hash. Without a hash it takes the same time and says
    /// `Wrong`, so that nobody learns from the time which users exist.
    pub async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        pepper: Option<Arc<str>>,
    ) -> Result<Verdict, PasswordError> {
        self.run(move || match hash {
            None => {
                hash_argon2(password.as_bytes(), &[0; 16])?;
                Ok(Verdict::Wrong)
            }
            Some(hash) if hash.starts_with("$argon2") => verify_argon2(&password, &hash),
            Some(hash) => verify_bcrypt(&password, &hash, pepper.as_deref()),
        })
        .await?
    }

    /// Runs `work` on a blocking thread once it is its turn. The permit goes along, so that work
    /// whose caller went away still counts.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Place::take(&self.waiting)?;
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Abandoned)?;
        drop(place);
        tokio::task::spawn_blocking(move || {
            let answer = work();
            drop(permit);
            answer
        })
        .await
        .map_err(|_| PasswordError::Abandoned)
    }
}

/// A place in the line of those who wait for a hash.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, PasswordError> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(PasswordError::Busy);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Error::LimitExceeded("too many log-ins at once"),
            PasswordError::Hash(reason) => Error::PasswordHash(reason),
            PasswordError::Abandoned => Error::Abandoned,
        }
    }
}

/// The hash of a password as a PHC string; for tools that make hashes without a server. The salt
/// has to be random.
pub fn hash_argon2(password: &[u8], salt: &[u8; 16]) -> Result<String, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password, salt)
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|error| PasswordError::Hash(error.to_string()))
}

fn verify_argon2(password: &str, hash: &str) -> Result<Verdict, PasswordError> {
    let hash = PasswordHash::new(hash).map_err(|error| PasswordError::Hash(error.to_string()))?;
    if Argon2::default().verify_password(password.as_bytes(), &hash).is_err() {
        return Ok(Verdict::Wrong);
    }
    let current = Params::try_from(&hash).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
    });
    Ok(if current { Verdict::Right } else { Verdict::Outdated })
}

/// Synapse puts its pepper behind the password and normalises to NFKC before; passwords in ASCII
/// are not changed by that, and others are compared as they were sent.
fn verify_bcrypt(
    password: &str,
    hash: &str,
    pepper: Option<&str>,
) -> Result<Verdict, PasswordError> {
    let peppered = format!("{password}{}", pepper.unwrap_or_default());
    match bcrypt::verify(peppered, hash) {
        Ok(true) => Ok(Verdict::Outdated),
        Ok(false) => Ok(Verdict::Wrong),
        Err(error) => Err(PasswordError::Hash(error.to_string())),
    }
}

/// Checks a new password against the policy.
pub(crate) fn check_policy(password: &str, policy: &PasswordSettings) -> Result<(), WeakPassword> {
    let has = |wanted: fn(char) -> bool| password.chars().any(wanted);
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(WeakPassword::TooLong);
    }
    if password.chars().count() < policy.minimum_length.max(1) {
        return Err(WeakPassword::TooShort);
    }
    if policy.require_digit && !has(|c| c.is_ascii_digit()) {
        return Err(WeakPassword::NoDigit);
    }
    if policy.require_symbol && !has(|c| !c.is_alphanumeric()) {
        return Err(WeakPassword::NoSymbol);
    }
    if policy.require_lowercase && !has(char::is_lowercase) {
        return Err(WeakPassword::NoLowercase);
    }
    if policy.require_uppercase && !has(char::is_uppercase) {
        return Err(WeakPassword::NoUppercase);
    }
    Ok(())
}

#[cfg(test)]
#[path = "password_test.rs"]
mod password_test;
