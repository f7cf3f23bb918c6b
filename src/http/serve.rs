//! The server loop: accepts on every listener, within the limits, until it is told to drain.
//!
//! ```text
//! Running ── drain() ──▶ Draining ── all done ─────────────▶ ended
//!                           └─────── grace is over ─▶ Cutting ─▲
//! ```

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::{
    Address, BoxError, Connection, Error, Lanes, Limits, Listener, Peer, Tls, Traffic,
    driver::{Phase, Protocols, Shared, serve_connection},
    slots::{Slot, Slots},
    socket::Socket,
    stream::Plain,
    traffic::Counts,
    unix::SocketFile,
};

/// The pause after a failed accept, which mostly means that descriptors or memory are short.
const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long cut connections have to end after the grace of a drain: they only have to notice.
pub const CUT_TIMEOUT: Duration = Duration::from_secs(5);

/// All listeners with one set of limits and one end.
#[derive(Debug)]
pub struct Server {
    shared: Arc<ArcSwap<Shared>>,
    phase: watch::Sender<Phase>,
    slots: Slots,
    lanes: Lanes,
    tracker: TaskTracker,
    traffic: Traffic,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their requests were not answered in time.
    pub cut: usize,
}

impl Server {
    /// A server without listeners, whose connections run where their listeners do.
    pub fn new(limits: Limits) -> Self {
        Self::in_lanes(limits, Lanes::default())
    }

    /// A server without listeners, whose connections run in these lanes.
    pub fn in_lanes(limits: Limits, lanes: Lanes) -> Self {
        let tracker = TaskTracker::new();
        let (phase, receiver) = watch::channel(Phase::Running);
        let slots = Slots::new(limits.max_connections);
        let protocols = Protocols::new(&limits, &tracker);
        let shared = Arc::new(ArcSwap::from_pointee(Shared { limits, protocols, phase: receiver }));
        Self { shared, phase, slots, lanes, tracker, traffic: Traffic::default() }
    }

    /// Serves `service` on `listener` in tasks of its own; the number that [`Connection`] bears
    /// comes back. Must be called within a tokio runtime.
    ///
    /// The service is cloned for each request, so its clone must be cheap. An axum `Router` is one
    /// shared pointer; call its `with_state` last, so that its handlers are made into routes once
    /// and not with each request.
    pub fn serve<S, B>(&self, listener: Listener, service: S) -> Result<usize, Error>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let Listener { socket, address, tls, file, max_connections } = listener;
        let slots = match max_connections {
            Some(most) => self.slots.apart(most),
            None => self.slots.clone(),
        };
        let acceptor = Acceptor::new(socket)
            .map_err(|source| Error::Listen { bind: address.to_string(), source })?;
        let (index, counts) = self.traffic.add(&address);
        let accepting = Accepting {
            shared: Arc::clone(&self.shared),
            slots,
            lanes: self.lanes.clone(),
            tracker: self.tracker.clone(),
            acceptor,
            address,
            tls,
            index,
            counts,
            _file: file,
        };
        self.tracker.spawn(accepting.run(service));
        Ok(index)
    }

    /// What the listeners have seen.
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        *self.slots.watch().borrow()
    }

    /// The same, and whenever it changes.
    pub fn watch_connections(&self) -> watch::Receiver<usize> {
        self.slots.watch()
    }

    /// Uses these limits for the connections that come from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.slots.set_most(limits.max_connections);
        let protocols = Protocols::new(&limits, &self.tracker);
        let shared = Shared { limits, protocols, phase: self.phase.subscribe() };
        self.shared.store(Arc::new(shared));
    }

    /// Stops accepting, lets the requests in flight be answered, and after `grace` cuts what is
    /// left. It begins with the call; the future comes back when no task of the server is left.
    pub fn drain(&self, grace: Duration) -> impl Future<Output = Drained> {
        self.phase.send_replace(Phase::Draining);
        self.tracker.close();
        self.drained(grace)
    }

    async fn drained(&self, grace: Duration) -> Drained {
        if timeout(grace, self.tracker.wait()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let cut = self.connections();
        self.phase.send_replace(Phase::Cutting);
        if timeout(CUT_TIMEOUT, self.tracker.wait()).await.is_err() {
            tracing::error!(left = self.tracker.len(), "tasks of connections do not end");
        }
        Drained { cut }
    }
}

#[derive(Debug)]
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<(Plain, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Plain::Tcp(without_delay(stream)), Peer::Tcp(canonical(address))))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = credentials(&stream)?;
                Ok((Plain::Unix(stream), peer))
            }
        }
    }
}

fn without_delay(stream: TcpStream) -> TcpStream {
    // It fails only on a connection that is gone, which the next read says better.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    stream
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn credentials(stream: &UnixStream) -> io::Result<Peer> {
    let peer = stream.peer_cred()?;
    Ok(Peer::Unix { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() })
}

/// One listener at work.
#[derive(Debug)]
struct Accepting {
    shared: Arc<ArcSwap<Shared>>,
    slots: Slots,
    lanes: Lanes,
    tracker: TaskTracker,
    acceptor: Acceptor,
    address: Address,
    tls: Option<Arc<Tls>>,
    index: usize,
    counts: Arc<Counts>,
    _file: Option<SocketFile>,
}

impl Accepting {
    async fn run<S, B>(self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let mut phase = self.shared.load().phase.clone();
        loop {
            let (plain, peer) = tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase != Phase::Running) => return,
                next = self.next() => next,
            };
            let slot = tokio::select! {
                biased;
                slot = self.slot() => slot,
                // Its client waits for this server and for no other, so it goes without a place.
                _ = phase.wait_for(|phase| *phase != Phase::Running) => None,
            };
            let connection = Connection { peer, tls: self.tls.is_some(), listener: self.index };
            let shared = self.shared.load_full();
            let open = self.counts.accepted();
            let place = self.lanes.take();
            let plain = match place.adopt(plain) {
                Ok(plain) => plain,
                Err(error) => {
                    tracing::error!(listener = %self.address, %error, "cannot serve a connection");
                    continue;
                }
            };
            let lane = place.handle().clone();
            let (tls, service) = (self.tls.clone(), service.clone());
            // Called within, so that the task does not hold the connection twice.
            let serving = async move {
                if serve_connection(shared, plain, tls, connection, service).await.is_err() {
                    open.failed_handshake();
                }
                drop((open, slot, place));
            };
            self.tracker.spawn_on(serving, &lane);
        }
    }

    /// The next connection. A listener holds one connection at most that has no place among the
    /// allowed ones yet; what comes after it waits in the kernel's queue.
    async fn next(&self) -> (Plain, Peer) {
        let mut pause = ACCEPT_PAUSE_FIRST;
        loop {
            match self.acceptor.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(listener = %self.address, %error, "cannot accept connections");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }

    async fn slot(&self) -> Option<Slot> {
        if let Some(slot) = self.slots.try_take() {
            return Some(slot);
        }
        let limit = self.slots.most();
        tracing::warn!(listener = %self.address, limit, "all connections are taken; others wait");
        self.slots.take().await
    }
}

/// Whether only the connection that was to be accepted failed, and the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
#[path = "serve_test.rs"]
mod serve_test;
