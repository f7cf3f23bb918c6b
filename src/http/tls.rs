//! Certificates of TLS listeners: read, checked, and swapped on a reload.
//!
//! Invariant: what is in force was checked as a whole (chain, key, time) before it replaced what
//! was in force before; connections that are open keep theirs.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use nix::fcntl::OFlag;
use rustls::{
    CertificateError, InconsistentKeys, RootCertStore, ServerConfig,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{Error as PemError, PemObject},
    },
    server::ParsedCertificate,
};

use crate::Error;

/// The year 10000, which no certificate can name: its years have four digits.
const BEYOND: Duration = Duration::from_hours(70_389_528);
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The two files of a TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate, then the intermediate ones.
    pub certificate: PathBuf,
    /// PEM: the private key (PKCS #8, PKCS #1 or SEC1).
    pub private_key: PathBuf,
}

/// A certificate with its key, read and checked, ready for use.
#[derive(Clone, Debug)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
    expires: Option<SystemTime>,
    file: PathBuf,
}

impl Certificate {
    /// Reads and checks both files; `now` is what the validity is checked against.
    pub fn read(files: &TlsFiles, now: SystemTime) -> Result<Self, Error> {
        let chain = read_chain(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read_file(&files.private_key)?)
            .map_err(|error| pem_error(&files.private_key, error, "private key"))?;
        let leaf = chain[0].clone();
        check_time(&files.certificate, &leaf, now)?;
        let config = server_config(chain, key).map_err(|error| tls_error(files, &error))?;
        let expires = expiry(&leaf);
        let file = files.certificate.clone();
        Ok(Self { config: Arc::new(config), leaf, expires, file })
    }

    /// Whether the certificate is no longer valid at `time`: asked ahead of time, for a warning.
    pub fn is_expired_at(&self, time: SystemTime) -> bool {
        matches!(validity(&self.leaf, time), Some(Validity::Expired { .. }))
    }
}

/// The certificate of a listener, which a reload can replace.
#[derive(Debug)]
pub struct Tls {
    current: ArcSwap<Certificate>,
}

impl Tls {
    /// Starts with `certificate`.
    pub fn new(certificate: Certificate) -> Self {
        Self { current: ArcSwap::from_pointee(certificate) }
    }

    /// Uses `certificate` for the handshakes from now on.
    pub fn replace(&self, certificate: Certificate) {
        self.current.store(Arc::new(certificate));
    }

    /// When the certificate in force ends, if it says so in a way that can be read.
    pub fn expires(&self) -> Option<SystemTime> {
        self.current.load().expires
    }

    /// The file that the certificate in force was read from.
    pub fn file(&self) -> PathBuf {
        self.current.load().file.clone()
    }

    /// What the next handshake uses.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }
}

/// Reads a regular file. Another kind of file might not come to an end, or hold whoever opens it
/// until somebody writes.
fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let mut file = file.map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = CertificateDer::pem_slice_iter(&read_file(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem_error(path, error, "certificate"))?;
    if chain.is_empty() {
        return Err(pem_error(path, PemError::NoItemsFound, "certificate"));
    }
    Ok(chain)
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Sessions are resumed by tickets that the client keeps, so that they cost no memory here.
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

fn pem_error(path: &Path, error: PemError, what: &str) -> Error {
    let path = path.to_owned();
    match error {
        PemError::NoItemsFound => Error::Pem { path, reason: format!("no PEM {what} in the file") },
        other => Error::Pem { path, reason: format!("no usable PEM {what}: {other}") },
    }
}

fn tls_error(files: &TlsFiles, error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Error::KeyMismatch {
            certificate: files.certificate.clone(),
            private_key: files.private_key.clone(),
        },
        rustls::Error::InvalidCertificate(reason) => Error::Pem {
            path: files.certificate.clone(),
            reason: format!("the certificate cannot be used: {reason}"),
        },
        other => Error::Pem {
            path: files.private_key.clone(),
            reason: format!("the private key cannot be used: {other}"),
        },
    }
}

enum Validity {
    Expired { since: Duration },
    NotYet,
    Unreadable(CertificateError),
}

fn check_time(path: &Path, leaf: &CertificateDer<'_>, now: SystemTime) -> Result<(), Error> {
    let certificate = path.to_owned();
    match validity(leaf, now) {
        None => Ok(()),
        Some(Validity::Expired { since }) => {
            Err(Error::Expired { certificate, days: since.as_secs() / SECONDS_PER_DAY })
        }
        Some(Validity::NotYet) => Err(Error::NotValidYet { certificate }),
        Some(Validity::Unreadable(reason)) => Err(Error::Pem {
            path: certificate,
            reason: format!("the certificate cannot be used: {reason}"),
        }),
    }
}

/// When the certificate ends: found by asking for a time when every one has.
fn expiry(leaf: &CertificateDer<'_>) -> Option<SystemTime> {
    let then = UNIX_EPOCH + BEYOND;
    match validity(leaf, then) {
        Some(Validity::Expired { since }) => Some(then - since),
        _ => None,
    }
}

/// What is wrong with the certificate at `now`, if anything.
///
/// The verifier looks at the times before it looks for a trust anchor; there is none, so that a
/// certificate that is fine ends as one of an unknown issuer, which is of no interest here.
fn validity(leaf: &CertificateDer<'_>, now: SystemTime) -> Option<Validity> {
    let parsed = match ParsedCertificate::try_from(leaf) {
        Ok(parsed) => parsed,
        Err(rustls::Error::InvalidCertificate(reason)) => {
            return Some(Validity::Unreadable(reason));
        }
        Err(_) => return Some(Validity::Unreadable(CertificateError::BadEncoding)),
    };
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let verdict = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        now,
        ring::default_provider().signature_verification_algorithms.all,
    );
    match verdict {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            time,
            not_after,
        })) => {
            let since = time.as_secs().saturating_sub(not_after.as_secs());
            Some(Validity::Expired { since: Duration::from_secs(since) })
        }
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Some(Validity::NotYet),
        _ => None,
    }
}

/// A failed handshake in few words, for the debug log.
pub(crate) fn handshake_error(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => "the client does not speak TLS".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
#[path = "tls_test.rs"]
mod tls_test;
