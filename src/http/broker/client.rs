//! The broker's client: asks for a connection and receives it.
//!
//! Invariant: what is handed on is a TCP connection to the address that the answer names; anything
//! else that came is closed.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{
    descriptor,
    message::{ANSWER_MAX_BYTES, Answer, HOST_MAX_BYTES, LENGTH_BYTES, Request},
};
use crate::{
    Attempt, Dial, DialError, DialSettings, Dialled, Target, dial::AttemptFuture,
    system_dial::Opened,
};

/// How much longer than the attempt itself the answer may take: the broker may have to be started
/// first.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// The pause before a full queue of the broker is tried again.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);

/// Has a broker connect. Each attempt asks anew, so that a broker that comes back is used again.
#[derive(Clone, Debug)]
pub struct BrokerDial {
    path: PathBuf,
    settings: Arc<ArcSwap<DialSettings>>,
}

impl BrokerDial {
    /// Asks at the unix socket `path`. Of the settings only the time is used: the ranges are the
    /// broker's to check.
    pub fn new(path: impl Into<PathBuf>, settings: Arc<ArcSwap<DialSettings>>) -> Self {
        Self { path: path.into(), settings }
    }

    /// The broker's socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Connects to the broker. A full queue is waited for: only a connection to a unix socket fails
    /// at once then, where one over TCP would wait.
    async fn connect(&self) -> io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
                connected => return connected,
            }
        }
    }

    async fn ask(&self, target: &Target) -> io::Result<Attempt<Opened>> {
        let stream = self.connect().await?;
        descriptor::send(&stream, &Request::Connect(target.clone()).encode(), None).await?;
        let (bytes, socket) = receive_answer(&stream).await?;
        match Answer::decode(&bytes, target)? {
            Answer::Refused(reason) => {
                Err(io::Error::other(format!("it refuses the request: {reason}")))
            }
            Answer::Attempted(Attempt { candidates, outcome }) => {
                let outcome = match (outcome, socket) {
                    (Ok(address), Some(socket)) => Ok(take_over(socket, address)?),
                    (Err(error), None) => Err(error),
                    (Ok(_), None) => return Err(wrong("it says that it has connected, only")),
                    (Err(_), Some(_)) => return Err(wrong("it sent a socket with an error")),
                };
                Ok(Attempt { candidates, outcome })
            }
        }
    }
}

fn wrong(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// A whole answer without its length, and the socket that came with it.
async fn receive_answer(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut bytes = vec![0; LENGTH_BYTES];
    let (mut filled, mut socket) = (0, None);
    while filled < bytes.len() {
        let (received, descriptor) = descriptor::receive(stream, &mut bytes[filled..]).await?;
        if received == 0 {
            let reason = "it closed the connection without a whole answer";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        match descriptor {
            Some(_) if filled > 0 => return Err(wrong("it sent a socket where none belongs")),
            Some(descriptor) => socket = Some(descriptor),
            None => {}
        }
        filled += received;
        if filled == LENGTH_BYTES && bytes.len() == LENGTH_BYTES {
            let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
            if length > ANSWER_MAX_BYTES {
                return Err(wrong("its answer is too long"));
            }
            bytes.resize(LENGTH_BYTES + length, 0);
        }
    }
    bytes.drain(..LENGTH_BYTES);
    Ok((bytes, socket))
}

/// Makes a stream of the socket, if it is what the broker says.
fn take_over(socket: OwnedFd, address: std::net::SocketAddr) -> io::Result<Opened> {
    let stream = std::net::TcpStream::from(socket);
    if stream.peer_addr().ok() != Some(address) {
        return Err(wrong("the socket that it sent leads somewhere else"));
    }
    stream.set_nonblocking(true)?;
    Ok(Opened { stream: TcpStream::from_std(stream)?, address })
}

impl Dial for BrokerDial {
    fn attempt<'a>(&'a self, target: &'a Target) -> AttemptFuture<'a> {
        Box::pin(async move {
            if target.host.len() > HOST_MAX_BYTES {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "the name is too long");
                return Attempt::failed(DialError::Resolve { host: target.host.clone(), source });
            }
            let limit = self.settings.load().timeout + ANSWER_GRACE;
            let asked = match timeout(limit, self.ask(target)).await {
                Ok(asked) => asked,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")),
            };
            match asked {
                Ok(attempt) => attempt.map(|opened| Dialled::new(opened.stream, opened.address)),
                Err(source) => Attempt::failed(DialError::Broker {
                    target: target.clone(),
                    path: self.path.clone(),
                    source,
                }),
            }
        })
    }
}
