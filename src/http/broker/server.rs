//! The broker: accepts, reads one request, connects, hands the socket over.
//!
//! ```text
//! accepted ─▶ request read ─▶ attempt ─▶ answered ─▶ closed
//!     │             │            └─ the client closes: the attempt ends
//!     └─ time over  └─ none that can be read: an answer says so
//! ```
//!
//! Invariant: a request holds a slot, so that their number has a bound, and each step has its time;
//! whatever happens, the sockets of a request are closed with it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    descriptor,
    message::{Answer, LENGTH_BYTES, Malformed, REQUEST_MAX_BYTES, Request},
};
use crate::{
    Address, Attempt, DialError, Drained, Error, Fate, IpRange, Listener, Resolve, SystemDial,
    SystemResolver, Target, socket::Socket, system_dial::Opened, unix::SocketFile,
};

/// The pause after a failed accept, which mostly means that descriptors or memory are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long cut requests have to end: they only have to notice.
const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Requests at a time; further ones wait in the kernel's queue.
    pub max_requests: usize,
    /// Time for a request to come after its connection.
    pub request_timeout: Duration,
    /// Time for an answer to be taken.
    pub answer_timeout: Duration,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            max_requests: 1024,
            request_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(5),
        }
    }
}

/// Says that every address of a target was denied, with one of them and the range it lies in.
pub type TellDenied = fn(&Target, IpAddr, &IpRange);

/// Connects for others.
#[derive(Debug)]
pub struct Broker<R: Resolve = SystemResolver> {
    shared: Arc<Shared<R>>,
    slots: Arc<Semaphore>,
    tracker: TaskTracker,
    draining: CancellationToken,
}

/// What all requests share.
#[derive(Debug)]
struct Shared<R> {
    dial: SystemDial<R>,
    limits: BrokerLimits,
    tell_denied: TellDenied,
    cutting: CancellationToken,
}

impl<R: Resolve> Broker<R> {
    /// A broker that connects by `dial`, and tells what the operator must know.
    pub fn new(dial: SystemDial<R>, limits: BrokerLimits, tell_denied: TellDenied) -> Self {
        let slots = Arc::new(Semaphore::new(limits.max_requests));
        let cutting = CancellationToken::new();
        Self {
            shared: Arc::new(Shared { dial, limits, tell_denied, cutting }),
            slots,
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
        }
    }

    /// Answers on a unix socket, in tasks of its own. Must be called within a tokio runtime.
    pub fn serve(&self, listener: Listener) -> Result<(), Error> {
        let Listener { socket, address, file, .. } = listener;
        let opened = match socket {
            Socket::Unix(socket) => {
                socket.set_nonblocking(true).and_then(|()| UnixListener::from_std(socket))
            }
            Socket::Tcp(_) => {
                let reason =
                    "descriptors cannot be passed over TCP; the broker needs a unix socket";
                Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
            }
        };
        let listener =
            opened.map_err(|source| Error::Listen { bind: address.to_string(), source })?;
        let accepting = Accepting {
            shared: Arc::clone(&self.shared),
            slots: Arc::clone(&self.slots),
            tracker: self.tracker.clone(),
            listener,
            address,
            _file: file,
        };
        let draining = self.draining.clone();
        self.tracker.spawn(draining.run_until_cancelled_owned(accepting.run()));
        Ok(())
    }

    /// Stops accepting, lets the requests in flight be answered, and after `grace` cuts what is
    /// left. Comes back when no task of the broker is left.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.draining.cancel();
        self.tracker.close();
        if timeout(grace, self.tracker.wait()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = self.tracker.len();
        self.shared.cutting.cancel();
        if timeout(CUT_TIMEOUT, self.tracker.wait()).await.is_err() {
            tracing::error!(left = self.tracker.len(), "requests do not end");
        }
        Drained { cut }
    }
}

/// One listener at work.
struct Accepting<R> {
    shared: Arc<Shared<R>>,
    slots: Arc<Semaphore>,
    tracker: TaskTracker,
    listener: UnixListener,
    address: Address,
    _file: Option<SocketFile>,
}

impl<R: Resolve> Accepting<R> {
    async fn run(self) {
        // It fails only once the semaphore is closed, which nobody does.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    self.tracker.spawn(answer(Arc::clone(&self.shared), stream, slot));
                }
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Answers the one request of a connection, unless it is cut.
async fn answer<R: Resolve>(
    shared: Arc<Shared<R>>,
    mut stream: UnixStream,
    _slot: OwnedSemaphorePermit,
) {
    let work = async {
        let limits = &shared.limits;
        let request = match timeout(limits.request_timeout, read(&mut stream)).await {
            Ok(Ok(request)) => request,
            Ok(Err(error)) => return refuse(&stream, limits, &error).await,
            Err(_) => return refuse(&stream, limits, &Malformed("no request came").into()).await,
        };
        let Request::Connect(target) = request;
        let attempt = tokio::select! {
            attempt = shared.dial.open(&target) => attempt,
            () = closed(&mut stream) => {
                tracing::debug!(%target, "the client gave up");
                return;
            }
        };
        tell(&target, &attempt, shared.tell_denied);
        hand_over(&stream, attempt, limits).await;
    };
    shared.cutting.run_until_cancelled(work).await;
}

/// Reads a request.
async fn read(stream: &mut UnixStream) -> io::Result<Request> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > REQUEST_MAX_BYTES {
        return Err(Malformed("the request is too long").into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(Request::decode(&bytes)?)
}

/// Returns once the client has closed, or has said something that it has no business to say.
async fn closed(stream: &mut UnixStream) {
    // End, error and further bytes are all the same here: nobody waits for the answer properly.
    let _ = stream.read_u8().await;
}

/// Says what is wrong with the request, in the log and to the client.
async fn refuse(stream: &UnixStream, limits: &BrokerLimits, error: &io::Error) {
    let peer = stream.peer_cred().ok();
    let (user, process) = (peer.map(|peer| peer.uid()), peer.and_then(|peer| peer.pid()));
    // A client that connects and goes asks for nothing.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        tracing::debug!(?user, ?process, "a connection ended without a request");
        return;
    }
    tracing::warn!(%error, ?user, ?process, "refused a request that cannot be read");
    let answer = Answer::Refused(error.to_string()).encode();
    let sent = timeout(limits.answer_timeout, descriptor::send(stream, &answer, None)).await;
    if !matches!(sent, Ok(Ok(()))) {
        tracing::debug!("the client did not take the refusal");
    }
}

/// Tells what came of an attempt.
fn tell(target: &Target, attempt: &Attempt<Opened>, tell_denied: TellDenied) {
    match &attempt.outcome {
        Ok(opened) => tracing::debug!(%target, address = %opened.address, "connected"),
        Err(DialError::Denied { address, range, .. }) => {
            tell_denied(target, *address, range);
            return;
        }
        Err(error) => tracing::debug!(%target, %error, "not connected"),
    }
    for candidate in &attempt.candidates {
        if let Fate::Denied(range) = candidate.fate {
            tracing::debug!(%target, address = %candidate.address, %range, "left out an address");
        }
    }
}

/// Sends the answer, with the socket if there is one; our copy of it is closed in any case.
async fn hand_over(stream: &UnixStream, attempt: Attempt<Opened>, limits: &BrokerLimits) {
    let Attempt { candidates, outcome } = attempt;
    let (outcome, socket): (Result<SocketAddr, _>, _) = match outcome {
        Ok(Opened { stream, address }) => (Ok(address), Some(stream)),
        Err(error) => (Err(error), None),
    };
    let answer = Answer::Attempted(Attempt { candidates, outcome }).encode();
    let socket = socket.as_ref().map(AsFd::as_fd);
    match timeout(limits.answer_timeout, descriptor::send(stream, &answer, socket)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the client did not take the answer"),
        Err(_) => tracing::debug!("the client did not take the answer in time"),
    }
}

#[cfg(test)]
#[path = "broker_test.rs"]
mod broker_test;
