//! One request of a command, to a running server: JSON over HTTP/1.1, on TCP, TLS or a unix socket.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::Bytes,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// How long a request may take: hashing a password on a busy machine, leaving many rooms.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Largest answer that is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A unix socket.
    Unix(PathBuf),
    /// A host, a port and a path below which the server's own begin.
    Tcp {
        /// Whether to speak TLS.
        tls: bool,
        /// The host, for TLS without brackets and port.
        host: String,
        /// The port.
        port: u16,
        /// The path without its closing slash.
        prefix: String,
    },
}

impl Place {
    /// Reads a URL: `http://HOST[:PORT][/PATH]`, the same with https, or `unix:/PATH`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let wrong = || format!("{url} is no URL of a server; write http://HOST:PORT");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self::Tcp { tls, host: host.to_owned(), port, prefix })
    }

    fn target(&self, path: &str) -> String {
        match self {
            Self::Unix(_) => path.to_owned(),
            Self::Tcp { prefix, .. } => format!("{prefix}{path}"),
        }
    }

    fn host(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "{}", path.display()),
            Self::Tcp { tls, host, port, prefix } => {
                let scheme = if *tls { "https" } else { "http" };
                write!(formatter, "{scheme}://{host}:{port}{prefix}")
            }
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The body; null when it is no JSON.
    pub(crate) body: Value,
}

/// Sends a request, with a body if there is one.
pub(crate) async fn send(
    place: &Place,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, String> {
    let exchange = async {
        match place {
            Place::Unix(socket) => {
                let stream = UnixStream::connect(socket).await;
                let stream = stream.map_err(|error| unreachable(place, &error))?;
                exchange(stream, place, request(place, method, path, body)?).await
            }
            Place::Tcp { tls, host, port, .. } => {
                let bare = host.trim_matches(['[', ']']);
                let stream = TcpStream::connect((bare, *port)).await;
                let stream = stream.map_err(|error| unreachable(place, &error))?;
                let request = request(place, method, path, body)?;
                if *tls {
                    let stream = encrypt(stream, bare).await;
                    exchange(stream.map_err(|error| unreachable(place, &error))?, place, request)
                        .await
                } else {
                    exchange(stream, place, request).await
                }
            }
        }
    };
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{place} does not answer")),
    }
}

/// Why there is no connection, and what mostly helps.
fn unreachable(place: &Place, error: &io::Error) -> String {
    let is_plain = error.get_ref().and_then(|it| it.downcast_ref()).is_some_and(|it| {
        matches!(it, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))
    });
    let hint = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "; does it run?",
        io::ErrorKind::PermissionDenied => "; only root and the server's own user may",
        _ if is_plain => "; it speaks plain HTTP there",
        _ => "",
    };
    format!("cannot reach the server at {place}: {error}{hint}")
}

async fn encrypt(
    stream: TcpStream,
    host: &str,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, io::Error> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(io::Error::other)?
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn request(
    place: &Place,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, String> {
    let mut request =
        Request::builder().method(method).uri(place.target(path)).header(HOST, place.host());
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    request.body(Full::from(body)).map_err(|error| error.to_string())
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: &Place,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("the server at {place} did not answer: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| {
        let hint = if error.is_parse() { "; perhaps it wants https://" } else { "" };
        failed(&format!("{error}{hint}"))
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
    let body = body.collect().await.map_err(|error| failed(&error))?.to_bytes();
    drop(sender);
    connection.abort();
    Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let tcp = |tls, host: &str, port, prefix: &str| {
            Ok(Place::Tcp { tls, host: host.to_owned(), port, prefix: prefix.to_owned() })
        };
        assert_eq!(Place::parse("http://localhost:8008"), tcp(false, "localhost", 8008, ""));
        assert_eq!(Place::parse("https://m.example/base/"), tcp(true, "m.example", 443, "/base"));
        assert_eq!(Place::parse("http://[::1]:8008/"), tcp(false, "[::1]", 8008, ""));
        assert_eq!(Place::parse("unix:/run/x"), Ok(Place::Unix("/run/x".into())));
        for url in ["", "localhost:8008", "ftp://x", "http://", "/x"] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
        assert_eq!(Place::parse("http://[::1]/x/").unwrap().to_string(), "http://[::1]:80/x");
    }
}
