//! One TLS handshake, to tell whether a server's certificate is trusted, and what it says if it is
//! not, too.
//!
//! Invariant: the verdict is that of the very verifier that requests go by; it is only overheard.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Transport;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use tokio::time::timeout;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::admin::protocol::ShownCertificate;

/// How long the handshake may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What came of a handshake.
pub(crate) struct Probed {
    /// The version of TLS, or why there is no connection.
    pub(crate) outcome: Result<String, String>,
    /// The certificate, if the server showed one.
    pub(crate) certificate: Option<ShownCertificate>,
}

/// Shakes hands with `host`, by the certificates that the operating system trusts.
pub(crate) async fn probe(stream: Pin<Box<dyn Transport>>, host: &str) -> Probed {
    let recorder = match Recorder::new() {
        Ok(recorder) => Arc::new(recorder),
        Err(error) => return Probed { outcome: Err(error.to_string()), certificate: None },
    };
    let handshake = shake_hands(stream, host, Arc::clone(&recorder));
    let outcome = match timeout(TIMEOUT, handshake).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no TLS handshake within {} seconds", TIMEOUT.as_secs())),
    };
    let seen = recorder.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    Probed { outcome, certificate: seen.as_ref().and_then(shown) }
}

async fn shake_hands(
    stream: Pin<Box<dyn Transport>>,
    host: &str,
    recorder: Arc<Recorder>,
) -> Result<String, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(recorder)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    let version = stream.get_ref().1.protocol_version();
    Ok(version.and_then(|version| version.as_str()).unwrap_or("TLS").replace('_', "."))
}

/// The platform's verifier, and the certificate that it was asked about.
#[derive(Debug)]
struct Recorder {
    verifier: Verifier,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl Recorder {
    fn new() -> Result<Self, rustls::Error> {
        let verifier = Verifier::new(Arc::new(ring::default_provider()))?;
        Ok(Self { verifier, seen: Mutex::default() })
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Some(end_entity.clone().into_owned());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        let verifier = &self.verifier;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// What the certificate says; none if it cannot be read, of which the verifier tells.
fn shown(certificate: &CertificateDer<'_>) -> Option<ShownCertificate> {
    let certificate = Certificate::from_der(certificate).ok()?.tbs_certificate;
    let names = certificate.get::<SubjectAltName>().ok().flatten();
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    Some(ShownCertificate {
        names: names.iter().filter_map(text_of).collect(),
        issuer: certificate.issuer.to_string(),
        not_before: certificate.validity.not_before.to_string(),
        not_after: certificate.validity.not_after.to_string(),
    })
}

/// A name of a server; the other kinds are of no interest here.
fn text_of(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_says_whose_it_is_and_until_when() {
        let names = vec!["m.example".to_owned(), "*.m.example".to_owned(), "192.0.2.1".to_owned()];
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.not_before = date_time_ymd(2020, 1, 2);
        params.not_after = date_time_ymd(2040, 3, 4);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let shown = shown(certificate.der()).unwrap();
        assert_eq!(shown.names, names);
        assert!(shown.issuer.starts_with("CN="), "{shown:?}");
        assert_eq!(shown.not_before, "2020-01-02T00:00:00Z");
        assert_eq!(shown.not_after, "2040-03-04T00:00:00Z");
        assert_eq!(super::shown(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
