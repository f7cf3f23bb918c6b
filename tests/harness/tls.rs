//! A certificate for a listener under test, and the client's trust in it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

use super::setup::SERVER_NAME;

/// A self-signed certificate for the server under test.
#[derive(Clone, Debug)]
pub struct TestCertificate {
    /// PEM file of the certificate.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub private_key: PathBuf,
    der: CertificateDer<'static>,
}

impl TestCertificate {
    /// Makes one and writes its files into `directory`.
    pub fn create(directory: &Path) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec![SERVER_NAME.to_owned()]).expect("a certificate");
        let certificate = directory.join("certificate.pem");
        let private_key = directory.join("private-key.pem");
        fs::write(&certificate, cert.pem()).expect("the directory is ours");
        fs::write(&private_key, signing_key.serialize_pem()).expect("the directory is ours");
        // A key that every user can read is refused.
        let owners = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&private_key, owners).expect("the file is ours");
        Self { certificate, private_key, der: cert.der().clone() }
    }

    /// A client that trusts this certificate alone and asks for `protocol`.
    pub(crate) fn client_config(&self, protocol: &[u8]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate that was just made");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the usual versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}
