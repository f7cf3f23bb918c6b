//! Sockets that the service manager opened and holds, taken by their `FileDescriptorName=`.
//!
//! Invariant: every passed socket is used by a listener or named in an error; none is dropped in
//! silence, for its clients would wait in the kernel's queue for ever.
//!
//! See `sd_listen_fds(3)` and `systemd.socket(5)`.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixListener},
};

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};

use crate::{Error, socket::Socket};

/// The first descriptor that a service manager passes, by `sd_listen_fds(3)`.
const FIRST_DESCRIPTOR: i32 = 3;

/// The passed sockets that no listener has taken yet.
#[derive(Debug, Default)]
pub struct PassedSockets {
    left: Vec<(String, Socket)>,
}

impl PassedSockets {
    /// None at all: for tests and for a start without a service manager.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes all sockets that were passed to this process.
    ///
    /// To be called once, before any thread starts: the variables are removed from the
    /// environment, so that no child takes the sockets for its own.
    pub fn from_environment() -> Result<Self, Error> {
        let variables = |source| Error::PassedVariables { source };
        // Those that are meant for another process are none of ours, nor are their names.
        if sd_notify::listen_fds().map_err(variables)?.len() == 0 {
            return Ok(Self::none());
        }
        let named: Vec<_> = sd_notify::listen_fds_with_names().map_err(variables)?.collect();
        let mut descriptors = ListenFd::from_env();
        let mut left = Vec::with_capacity(named.len());
        for (descriptor, name) in named {
            let index = usize::try_from(descriptor - FIRST_DESCRIPTOR)
                .map_err(|error| variables(io::Error::other(error)))?;
            match take_socket(&mut descriptors, index) {
                Ok(socket) => left.push((name, socket)),
                Err(source) => return Err(Error::PassedKind { name, source }),
            }
        }
        Ok(Self { left })
    }

    /// The names that are left, each once, in the order in which they were passed.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.left {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Takes every socket of this name; there must be one.
    pub(crate) fn take(&mut self, name: &str) -> Result<Vec<Socket>, Error> {
        let (taken, left) =
            std::mem::take(&mut self.left).into_iter().partition(|(other, _)| other == name);
        self.left = left;
        let taken: Vec<(String, Socket)> = taken;
        if taken.is_empty() {
            return Err(Error::NotPassed { name: name.to_owned(), passed: self.list() });
        }
        Ok(taken.into_iter().map(|(_, socket)| socket).collect())
    }

    /// Fails if sockets are left that no listener took.
    pub fn finish(self) -> Result<(), Error> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(Error::Unexpected { names: self.list() })
    }

    fn list(&self) -> String {
        let names = self.names();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

fn take_socket(descriptors: &mut ListenFd, index: usize) -> io::Result<Socket> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the descriptor is not there");
    // A socket of the other family is left at its place, so that the second question can be asked.
    if let Ok(listener) = descriptors.take_tcp_listener(index) {
        let listener = listener.ok_or_else(missing)?;
        must_listen(&listener)?;
        return Ok(Socket::Tcp(listener));
    }
    let listener: UnixListener = descriptors.take_unix_listener(index)?.ok_or_else(missing)?;
    must_listen(&listener)?;
    Ok(Socket::Unix(listener))
}

/// A connected socket (`Accept=yes` in the socket unit) is a stream socket as well.
fn must_listen(socket: &impl AsFd) -> io::Result<()> {
    if getsockopt(socket, sockopt::AcceptConn)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"))
}

#[cfg(test)]
#[path = "passed_test.rs"]
mod passed_test;
