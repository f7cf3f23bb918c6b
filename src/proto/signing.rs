//! Ed25519 keys: ours for signing, others' for checking, and signed JSON objects that are no events.
//!
//! Spec: appendices, "Signing JSON"; server-server API, "Retrieving server keys".

use ruma::ServerName;

use crate::{clock::Random, json::JsonError};

/// This server's signing key.
pub struct SigningKey {
    pair: ring::signature::Ed25519KeyPair,
    seed: [u8; 32],
    version: Box<str>,
}

/// Why a line is no signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not three words: algorithm, version, seed.
    #[error("a signing key is a line of three words: algorithm, version, seed")]
    Shape,
    /// Another algorithm than Ed25519.
    #[error("the key's algorithm is not ed25519")]
    Algorithm,
    /// A version with other characters than letters, digits and underscores.
    #[error("the key's version has a character other than a letter, a digit or an underscore")]
    Version,
    /// The seed is not 32 bytes in Base64.
    #[error("the key's seed is not 32 bytes in Base64")]
    Seed,
}

impl SigningKey {
    /// A new key with a random version `a_XXXX`.
    pub fn generate(random: &dyn Random) -> SigningKey {
        todo!()
    }

    /// Reads a key as Synapse writes it: `ed25519 a_ABCD base64`. Comments (`#`) and empty lines are skipped, the first key counts.
    pub fn parse(text: &str) -> Result<SigningKey, KeyError> {
        todo!()
    }

    /// The line that [`SigningKey::parse`] reads, with its line end. It holds the secret.
    pub fn to_line(&self) -> String {
        todo!()
    }

    /// The key's identifier: `ed25519:` and the version.
    pub fn key_id(&self) -> String {
        format!("ed25519:{}", self.version)
    }

    /// The key's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The public key in unpadded Base64, as servers publish it.
    pub fn public_key(&self) -> String {
        todo!()
    }

    /// The signature over these bytes, in unpadded Base64.
    pub fn sign(&self, message: &[u8]) -> String {
        todo!()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Another server's public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyKey(pub [u8; 32]);

impl VerifyKey {
    /// Reads it from Base64, padded or not.
    pub fn parse(text: &str) -> Option<VerifyKey> {
        todo!()
    }

    /// Whether the signature, in Base64, was made by this key over these bytes.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        todo!()
    }
}

/// Signs a JSON object that is no event (a key answer, a request): the same object in canonical form, with the signature
/// added to `signatures`. `signatures` and `unsigned` are not signed.
pub fn sign_object(object: &str, server: &ServerName, key: &SigningKey) -> Result<String, JsonError> {
    todo!()
}
