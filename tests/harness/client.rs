//! A small JSON client over one connection, HTTP/1.1 or HTTP/2, TCP, unix socket or TLS.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::Incoming,
    client::conn::{self, TrySendError},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::Mutex,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{setup::SERVER_NAME, tls::TestCertificate};

/// No answer takes longer than this, not even a long poll's.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

/// Where a client connects to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A TCP address that speaks TLS with this certificate.
    Tls(SocketAddr, TestCertificate),
    /// A unix socket.
    Unix(PathBuf),
}

/// The protocol that a client speaks from its first byte on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge where there is no TLS.
    Http2,
}

/// Why there is no answer: what the connection said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError(pub String);

impl ClientError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The protocol that it came over.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub bytes: Bytes,
    /// The body as JSON, null if it is none.
    pub body: Value,
    /// What was asked, for messages.
    question: String,
}

impl Reply {
    /// The body of an answer that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}: {}", self.question, self.text());
        self.body
    }

    /// Asserts that the answer is this error of the specification.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        let found = (self.status.as_u16(), self.body["errcode"].as_str());
        assert_eq!(found, (status, Some(code)), "{}: {}", self.question, self.text());
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A request without an answer; it is here again if nothing of it was sent.
struct Unsent {
    request: Option<Request<Full<Bytes>>>,
    error: String,
}

impl From<TrySendError<Request<Full<Bytes>>>> for Unsent {
    fn from(mut failed: TrySendError<Request<Full<Bytes>>>) -> Self {
        let request = failed.take_message();
        Self { request, error: failed.into_error().to_string() }
    }
}

enum Sender {
    Http1(conn::http1::SendRequest<Full<Bytes>>),
    Http2(conn::http2::SendRequest<Full<Bytes>>),
}

/// A client with one connection, made when it is first needed and again when it broke.
///
/// Requests of one client over HTTP/1.1 go one after the other; a clone has a connection of its
/// own.
pub struct Client {
    target: Target,
    protocol: Protocol,
    token: Option<String>,
    sender: Arc<Mutex<Option<Sender>>>,
}

impl Clone for Client {
    fn clone(&self) -> Self {
        let sender = Arc::new(Mutex::new(None));
        Self { target: self.target.clone(), token: self.token.clone(), sender, ..*self }
    }
}

impl Client {
    /// A client without an access token.
    pub fn new(target: Target, protocol: Protocol) -> Self {
        Self { target, protocol, token: None, sender: Arc::default() }
    }

    /// The same with an access token and a connection of its own.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Asks and takes the answer, or what the connection says instead.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Reply, ClientError> {
        let mut builder = Request::builder().method(&method).uri(self.uri(path));
        if matches!(self.protocol, Protocol::Http1) {
            builder = builder.header("Host", SERVER_NAME);
        }
        if let Some(token) = &self.token {
            builder = builder.header("Authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            builder = builder.header("Content-Type", "application/json");
        }
        let request = builder.body(Full::new(body.unwrap_or_default())).map_err(ClientError::of)?;
        let answer = async {
            let response = self.exchange(request).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(ClientError::of)?.to_bytes();
            Ok((parts, bytes))
        };
        let (parts, bytes) = timeout(ANSWER_TIMEOUT, answer).await.map_err(ClientError::of)??;
        Ok(Reply {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
            question: format!("{method} {path}"),
        })
    }

    /// As [`Self::try_send`], with a connection that must hold.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(|value| Bytes::from(value.to_string()));
        match self.try_send(method.clone(), path, body).await {
            Ok(reply) => reply,
            Err(error) => panic!("{method} {path}: {}", error.0),
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    /// `PUT` of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    fn uri(&self, path: &str) -> String {
        match (self.protocol, &self.target) {
            (Protocol::Http1, _) => path.to_owned(),
            (Protocol::Http2, Target::Tls(..)) => format!("https://{SERVER_NAME}{path}"),
            (Protocol::Http2, _) => format!("http://{SERVER_NAME}{path}"),
        }
    }

    /// One request and the head of its answer. A connection that turns out to be closed before
    /// anything was sent is replaced once.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let request = match self.exchange_on_open(request).await {
            Ok(response) => return Ok(response),
            Err(failed) => match failed.request {
                Some(unsent) => unsent,
                None => return Err(ClientError(failed.error)),
            },
        };
        *self.sender.lock().await = Some(self.connect().await?);
        let answer = self.exchange_on_open(request).await;
        answer.map_err(|failed| ClientError(failed.error))
    }

    /// The same on the connection that is there, if one is.
    async fn exchange_on_open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unsent> {
        let mut place = self.sender.lock().await;
        match &mut *place {
            Some(Sender::Http1(sender)) => {
                // Waits for the end of the answer before; a closed connection shows in the sending.
                let _ = sender.ready().await;
                sender.try_send_request(request).await.map_err(Unsent::from)
            }
            Some(Sender::Http2(sender)) => {
                let mut sender = sender.clone();
                drop(place);
                sender.try_send_request(request).await.map_err(Unsent::from)
            }
            None => Err(Unsent { request: Some(request), error: "there is no connection".into() }),
        }
    }

    async fn connect(&self) -> Result<Sender, ClientError> {
        match &self.target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(ClientError::of)?;
                stream.set_nodelay(true).map_err(ClientError::of)?;
                self.handshake(stream).await
            }
            Target::Unix(path) => {
                self.handshake(UnixStream::connect(path).await.map_err(ClientError::of)?).await
            }
            Target::Tls(address, certificate) => {
                let stream = TcpStream::connect(address).await.map_err(ClientError::of)?;
                let protocol: &[u8] = match self.protocol {
                    Protocol::Http1 => b"http/1.1",
                    Protocol::Http2 => b"h2",
                };
                let connector = TlsConnector::from(certificate.client_config(protocol));
                let name = ServerName::try_from(SERVER_NAME).map_err(ClientError::of)?;
                let stream = connector.connect(name, stream).await.map_err(ClientError::of)?;
                self.handshake(stream).await
            }
        }
    }

    async fn handshake<T>(&self, stream: T) -> Result<Sender, ClientError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) =
                    conn::http1::handshake(io).await.map_err(ClientError::of)?;
                tokio::spawn(connection);
                Ok(Sender::Http1(sender))
            }
            Protocol::Http2 => {
                let handshake = conn::http2::handshake(TokioExecutor::new(), io);
                let (sender, connection) = handshake.await.map_err(ClientError::of)?;
                tokio::spawn(connection);
                Ok(Sender::Http2(sender))
            }
        }
    }
}

#[cfg(test)]
#[path = "client_test.rs"]
mod client_test;
