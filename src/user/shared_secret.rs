//! Registration with the shared secret: the nonce protocol of Synapse's
//! `/_synapse/admin/v1/register`.
//!
//! Invariant: a nonce works once, for 60 seconds; at most [`MAX_NONCES`] are out, and the oldest
//! makes room, so that nobody keeps others from registering by asking for all of them.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use proto::clock::random_string;
use ring::hmac;

use crate::{
    Accounts, Context, Error,
    account::{Registered, Registration},
    session::NewSession,
};

/// Nonces that wait for their use.
const MAX_NONCES: usize = 1000;

/// How long a nonce works.
const NONCE_LIFETIME_MS: u64 = 60_000;

/// Random characters of a nonce.
const NONCE_LENGTH: usize = 43;

/// Registration with the shared secret.
#[derive(Clone)]
pub struct SharedSecret {
    context: Context,
    accounts: Accounts,
    /// When each nonce expires.
    nonces: Arc<Mutex<HashMap<String, u64>>>,
}

/// The body of the registration request.
#[derive(Clone, Debug)]
pub struct SharedSecretRegistration {
    /// A nonce that this server handed out; it works once, for 60 seconds.
    pub nonce: String,
    /// The localpart.
    pub username: String,
    /// The display name, if it is to be another than the localpart.
    pub displayname: Option<String>,
    /// The password.
    pub password: String,
    /// Whether the account administers the server.
    pub admin: bool,
    /// A `user_type`, which enters the MAC; none is known here.
    pub user_type: Option<String>,
    /// HMAC-SHA1 in hexadecimal over nonce, username, password, `admin` or `notadmin`, and the
    /// type, with NULs between.
    pub mac: String,
    /// The session to open at once; none is `inhibit_login`.
    pub login: Option<NewSession>,
}

impl SharedSecret {
    /// Registration with the secret of the settings.
    pub fn new(context: Context, accounts: Accounts) -> Self {
        Self { context, accounts, nonces: Arc::default() }
    }

    fn secret(&self) -> Result<Arc<str>, Error> {
        let settings = self.context.settings();
        settings.registration.shared_secret.clone().ok_or(Error::RegistrationDisabled)
    }

    /// A fresh nonce; `RegistrationDisabled` when there is no shared secret.
    pub fn issue_nonce(&self) -> Result<String, Error> {
        self.secret()?;
        let now_ms = self.context.now_ms();
        let nonce = random_string(&*self.context.random, NONCE_LENGTH);
        let mut nonces = self.nonces.lock();
        nonces.retain(|_, expires_ts| *expires_ts > now_ms);
        if nonces.len() >= MAX_NONCES {
            let oldest = nonces.iter().min_by_key(|(_, expires_ts)| **expires_ts);
            if let Some(oldest) = oldest.map(|(nonce, _)| nonce.clone()) {
                nonces.remove(&oldest);
            }
        }
        nonces.insert(nonce.clone(), now_ms + NONCE_LIFETIME_MS);
        Ok(nonce)
    }

    /// Makes the account.
    pub async fn register(
        &self,
        registration: SharedSecretRegistration,
    ) -> Result<Registered, Error> {
        let secret = self.secret()?;
        self.take_nonce(&registration.nonce)?;
        if registration.password.contains('\0') || registration.username.contains('\0') {
            return Err(Error::InvalidParam("no NUL may stand in name or password".to_owned()));
        }
        let mac = decode_hex(&registration.mac);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
        if hmac::verify(&key, &message(&registration), &mac.unwrap_or_default()).is_err() {
            return Err(Error::BadCredentials(
                "the HMAC is not right: was it made with this server's secret?",
            ));
        }
        self.accounts
            .register(Registration {
                username: Some(registration.username.to_lowercase()),
                password: Some(registration.password),
                admin: registration.admin,
                displayname: registration.displayname,
                registration_token: None,
                login: registration.login,
            })
            .await
    }

    fn take_nonce(&self, nonce: &str) -> Result<(), Error> {
        let expires_ts = self.nonces.lock().remove(nonce);
        if expires_ts.is_some_and(|expires_ts| expires_ts > self.context.now_ms()) {
            Ok(())
        } else {
            Err(Error::InvalidParam("the nonce is not known or has expired".to_owned()))
        }
    }
}

/// What the MAC is made over.
fn message(registration: &SharedSecretRegistration) -> Vec<u8> {
    let role = if registration.admin { "admin" } else { "notadmin" };
    let mut parts =
        vec![&*registration.nonce, &registration.username, &registration.password, role];
    parts.extend(registration.user_type.as_deref());
    parts.join("\0").into_bytes()
}

/// The MAC that a registration has to carry; for tools that register over HTTP.
pub fn compute_mac(secret: &str, registration: &SharedSecretRegistration) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let tag = hmac::sign(&key, &message(registration));
    tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|start| u8::from_str_radix(&text[start..start + 2], 16).ok()).collect()
}

#[cfg(test)]
#[path = "shared_secret_test.rs"]
mod shared_secret_test;
