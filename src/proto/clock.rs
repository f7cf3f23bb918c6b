//! The clock and the source of randomness as the layers above see them: traits only. The daemon
//! hands in the operating system's, tests hand in ones that they control.

use std::sync::Arc;

/// A wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch, as in `origin_server_ts`.
    fn now_ms(&self) -> u64;
}

/// A source of unpredictable bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;
/// A shared source of randomness.
pub type SharedRandom = Arc<dyn Random>;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A string of `length` characters with six random bits each, from the URL-safe alphabet.
pub fn random_string(random: &dyn Random, length: usize) -> String {
    let mut bytes = vec![0_u8; length];
    random.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect()
}
