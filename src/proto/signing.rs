//! Ed25519 keys: ours for signing, others' for checking, and signed JSON objects that are no
//! events.
//!
//! Spec: appendices, "Signing JSON"; server-server API, "Retrieving server keys".

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ruma::ServerName;

use crate::{
    clock::{Random, random_string},
    json::{Form, JsonError, Object, Text, Value, bytes_to_hash, parse_object},
};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Unpadded Base64, as Matrix writes it; read with or without padding.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
/// The same with the URL-safe alphabet.
pub(crate) const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// How many random characters the version of a generated key has behind `a_`.
const VERSION_LENGTH: usize = 4;

/// This server's signing key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: [u8; 32],
    version: Box<str>,
}

/// Why a text is no signing key.
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
        let mut seed = [0; 32];
        random.fill(&mut seed);
        // The version's grammar is narrower than that of random strings.
        let version = random_string(random, VERSION_LENGTH).replace(['-', '_'], "x");
        SigningKey::of(seed, &format!("a_{version}"))
    }

    fn of(seed: [u8; 32], version: &str) -> SigningKey {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .expect("every 32 bytes are a seed, and the array has 32");
        SigningKey { pair, seed, version: version.into() }
    }

    /// Reads a key as Synapse writes it: `ed25519 a_ABCD base64`. Empty lines and lines that start
    /// with `#` are skipped; of several keys the first counts.
    pub fn parse(text: &str) -> Result<SigningKey, KeyError> {
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .ok_or(KeyError::Shape)?;
        let mut words = line.split_whitespace();
        let (Some(algorithm), Some(version), Some(seed), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyError::Shape);
        };
        if algorithm != "ed25519" {
            return Err(KeyError::Algorithm);
        }
        if !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(KeyError::Version);
        }
        let seed = BASE64.decode(seed).ok().and_then(|seed| seed.try_into().ok());
        Ok(SigningKey::of(seed.ok_or(KeyError::Seed)?, version))
    }

    /// The line that [`SigningKey::parse`] reads, with its line end. It holds the secret.
    pub fn to_line(&self) -> String {
        format!("ed25519 {} {}\n", self.version, BASE64.encode(self.seed))
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
        BASE64.encode(self.pair.public_key())
    }

    /// The public key, for checking what this key signed.
    pub fn verify_key(&self) -> VerifyKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        VerifyKey(key)
    }

    /// The signature over these bytes, in unpadded Base64.
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64.encode(self.pair.sign(message))
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
        BASE64.decode(text).ok()?.try_into().ok().map(VerifyKey)
    }

    /// Whether the signature, in Base64, was made by this key over these bytes.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature).is_ok()
    }
}

/// Signs a JSON object that is no event (a key answer, a request): the same object in canonical
/// form, with the signature added to `signatures`. `signatures` and `unsigned` are not signed.
pub fn sign_object(
    object: &str,
    server: &ServerName,
    key: &SigningKey,
) -> Result<String, JsonError> {
    let mut object = parse_object(object, Form::Strict)?;
    let signature = key.sign(signed_text(&object).as_bytes());
    add_signature(&mut object, server, &key.key_id(), &signature);
    let mut out = String::new();
    object.write(&mut out);
    Ok(out)
}

/// Whether a JSON object that is no event bears a signature of this server by this key.
pub fn verify_object(object: &str, server: &ServerName, key_id: &str, key: VerifyKey) -> bool {
    let Ok(object) = parse_object(object, Form::Strict) else { return false };
    let Some(signature) = signature_of(&object, server, key_id) else { return false };
    key.verifies(&bytes_to_hash(&signed_text(&object), Form::Strict), &signature)
}

fn signed_text(object: &Object<'_>) -> String {
    let mut text = String::new();
    let is_signed = |key: &str| !matches!(key, "signatures" | "unsigned");
    object.write_members(&mut text, is_signed, |_, value, out| value.write(out));
    text
}

fn signature_of(object: &Object<'_>, server: &ServerName, key_id: &str) -> Option<String> {
    let signatures = object.get("signatures")?.as_object()?;
    let of_server = signatures.get(server.as_str())?.as_object()?;
    Some(of_server.get(key_id)?.as_str()?.into_owned())
}

/// Puts a signature into an object's `signatures`, beside those that are there.
pub(crate) fn add_signature(
    object: &mut Object<'_>,
    server: &ServerName,
    key_id: &str,
    signature: &str,
) {
    let mut signatures = take_object(object, "signatures");
    let mut of_server = take_object(&mut signatures, server.as_str());
    of_server.insert(key_id, Value::String(Text::of(signature)));
    signatures.insert(server.as_str(), Value::Object(of_server));
    object.insert("signatures", Value::Object(signatures));
}

fn take_object<'a>(object: &mut Object<'a>, key: &str) -> Object<'a> {
    match object.remove(key) {
        Some(Value::Object(inner)) => inner,
        _ => Object::default(),
    }
}

#[cfg(test)]
#[path = "signing_test.rs"]
mod tests;
