//! What the tests of this crate share: a server on a free port, clients, certificates.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Address, Bind, BodyError, BodyLimit, Certificate, Connection, Lanes, Limits, Listener,
    PassedSockets, Server, Tls, TlsFiles, collect,
};

/// Nothing in a test waits longer than this, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of the answer to `/large`: more than the kernel's buffers take.
pub(crate) const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// Limits that a test can wait for.
pub(crate) fn short_limits() -> Limits {
    Limits {
        tls_handshake_timeout: Duration::from_millis(300),
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_millis(600),
        ..Limits::default()
    }
}

/// Answers by path: `/connection`, `/wait/MILLISECONDS`, `/large`, `/refuse` (without reading the
/// body), `/limited` (the body's length, at most 1000 bytes).
pub(crate) async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let (status, text) = match path.split('/').nth(1).unwrap_or_default() {
        "connection" => {
            (StatusCode::OK, format!("{:?}", request.extensions().get::<Connection>().unwrap()))
        }
        "wait" => {
            let milliseconds = path.rsplit('/').next().unwrap().parse().unwrap();
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            (StatusCode::OK, "waited".to_owned())
        }
        "large" => (StatusCode::OK, "x".repeat(LARGE_BYTES)),
        "refuse" => (StatusCode::FORBIDDEN, "refused".to_owned()),
        "limited" => {
            let limit = BodyLimit { max_bytes: 1000, timeout: Duration::from_millis(500) };
            match collect(request.into_body(), limit).await {
                Ok(body) => (StatusCode::OK, body.len().to_string()),
                Err(BodyError::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, String::new()),
                Err(BodyError::TimedOut { .. }) => (StatusCode::REQUEST_TIMEOUT, String::new()),
                Err(BodyError::Broken(_)) => (StatusCode::BAD_REQUEST, String::new()),
            }
        }
        _ => (StatusCode::NOT_FOUND, "nothing here".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}

pub(crate) fn listener(bind: &str) -> Listener {
    let bind: Bind = bind.parse().unwrap();
    Listener::bind(&bind, &mut PassedSockets::none()).unwrap().remove(0)
}

pub(crate) fn tcp_address(listener: &Listener) -> SocketAddr {
    match listener.address() {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{} is no TCP address", path.display()),
    }
}

/// A server of [`answer`] on a free port.
pub(crate) fn start(limits: Limits, tls: Option<Arc<Tls>>) -> (Server, SocketAddr) {
    let server = Server::in_lanes(limits, Lanes::start(2).unwrap());
    let mut listener = listener("127.0.0.1:0");
    if let Some(tls) = tls {
        listener = listener.with_tls(tls);
    }
    let address = tcp_address(&listener);
    server.serve(listener, tower::service_fn(answer)).unwrap();
    (server, address)
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// A client over HTTP/1.1; the connection lives in a task of its own.
pub(crate) async fn http1<T>(stream: T) -> conn::http1::SendRequest<Full<Bytes>>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A client over HTTP/2 with prior knowledge.
pub(crate) async fn http2<T>(stream: T) -> conn::http2::SendRequest<Full<Bytes>>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://server.test{path}")).body(Full::default()).unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Reads until the server closes, for at most [`PATIENCE`]. A reset is an end as well.
pub(crate) async fn read_to_end<T: AsyncRead + Unpin>(stream: &mut T) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all));
    let _ended = read.await.expect("the server does not close the connection");
    String::from_utf8_lossy(&all).into_owned()
}

/// Writes a self-signed certificate for `server.test` and its key into `directory`.
pub(crate) fn certificate_files(directory: &Path, years: (i32, i32)) -> TlsFiles {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["server.test".to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let files = TlsFiles {
        certificate: directory.join("certificate.pem"),
        private_key: directory.join("key.pem"),
    };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.private_key, key.serialize_pem()).unwrap();
    files
}

/// The first of January of this year.
pub(crate) fn new_year(year: u64) -> SystemTime {
    // Close enough: tests stay a year away from any limit.
    SystemTime::UNIX_EPOCH + Duration::from_secs((year - 1970) * 31_556_952)
}

pub(crate) fn certificate(files: &TlsFiles) -> Certificate {
    Certificate::read(files, new_year(2030)).unwrap()
}

/// A TLS client that trusts only the certificate of `files`.
pub(crate) async fn tls_client(
    address: SocketAddr,
    files: &TlsFiles,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_client_on(connect(address).await, files, protocols).await
}

/// The same on a connection that is there.
pub(crate) async fn tls_client_on(
    stream: TcpStream,
    files: &TlsFiles,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("server.test").unwrap();
    connector.connect(name, stream).await
}
