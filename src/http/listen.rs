//! Opening listeners. Everything here is synchronous and happens before the runtime starts, so
//! that a sandbox can be closed behind it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd,
    sync::Arc,
};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};

use crate::{
    Address, Bind, Error, PassedSockets, Tls,
    socket::{BACKLOG, Socket},
    unix::{self, SocketFile},
};

/// A socket that listens and waits for [`crate::Server::serve`].
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) address: Address,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Removes the file of a unix socket of ours when the listener goes away.
    pub(crate) file: Option<SocketFile>,
    /// How many connections it has of its own, if it does not share those of the server.
    pub(crate) max_connections: Option<usize>,
}

impl Listener {
    /// Opens everything that `bind` names: one listener, or as many as were passed by that name.
    pub fn bind(bind: &Bind, passed: &mut PassedSockets) -> Result<Vec<Self>, Error> {
        match bind {
            Bind::Tcp(address) => {
                let socket = listen_tcp(*address).map_err(|error| Error::listen(bind, error))?;
                let address = socket.local_addr().map_err(|error| Error::listen(bind, error))?;
                Ok(vec![Self::new(Socket::Tcp(socket), Address::Tcp(address), None)])
            }
            Bind::Unix { path, mode } => {
                let (socket, file) = unix::listen_unix(bind, path, *mode)?;
                let address = Address::Unix(path.clone());
                Ok(vec![Self::new(Socket::Unix(socket), address, Some(file))])
            }
            Bind::Passed { name } => {
                passed.take(name)?.into_iter().map(|socket| Self::passed(bind, socket)).collect()
            }
        }
    }

    /// The same listener with TLS; several listeners may share one certificate.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<Tls>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same listener with so many connections of its own, which no other listener's can take.
    #[must_use]
    pub fn with_own_connections(mut self, most: usize) -> Self {
        self.max_connections = Some(most);
        self
    }

    /// Where it listens: the port is the real one even if the configuration says 0.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn new(socket: Socket, address: Address, file: Option<SocketFile>) -> Self {
        Self { socket, address, tls: None, file, max_connections: None }
    }

    /// A socket of the service manager: it owns the file, the address and the backlog.
    fn passed(bind: &Bind, socket: Socket) -> Result<Self, Error> {
        let address = socket.address().map_err(|error| Error::listen(bind, error))?;
        Ok(Self::new(socket, address, None))
    }
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let descriptor = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // A restart must not wait for the old connections' TIME_WAIT.
    setsockopt(&descriptor, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&descriptor, sockopt::Ipv6V6Only, &true)?;
    }
    bind(descriptor.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&descriptor, Backlog::new(BACKLOG)?)?;
    Ok(TcpListener::from(descriptor))
}
