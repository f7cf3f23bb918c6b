//! What a handler may know about the connection that its request came on.

use std::net::{IpAddr, SocketAddr};

/// Stands in the extensions of every request that a [`crate::Server`] hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// Whether the connection is encrypted by this server.
    pub tls: bool,
    /// The number that [`crate::Server::serve`] gave to the listener.
    pub listener: usize,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP peer. An IPv4 peer of an IPv6 socket is given as IPv4.
    Tcp(SocketAddr),
    /// A process of this machine, by its credentials when it connected.
    Unix {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// Its process, where the system says so.
        pid: Option<i32>,
    },
}

impl Peer {
    /// The peer's address, if it has one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix { .. } => None,
        }
    }
}
