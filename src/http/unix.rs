//! Unix stream sockets: made with their mode, and taken over only from the dead.
//!
//! Invariant: no moment exists at which the socket's file is more open than its mode says, and a
//! file is removed only if it is a socket that nobody listens on, or our own.

use std::{
    fs, io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
        },
        stat::{Mode, fchmod},
    },
};

use crate::{Bind, Error, socket::BACKLOG};

/// The file of a unix socket that this process made; dropping it removes the file.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own socket there already; that one stays.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| metadata.dev() == self.device && metadata.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the unix socket");
        }
    }
}

pub(crate) fn listen_unix(
    spec: &Bind,
    path: &Path,
    mode: u32,
) -> Result<(UnixListener, SocketFile), Error> {
    remove_stale(spec, path)?;
    open(path, mode).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Listen {
            bind: spec.to_string(),
            source: io::Error::new(error.kind(), "the socket's directory does not exist"),
        },
        _ => Error::listen(spec, error),
    })
}

fn open(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let descriptor = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // On Linux the file gets the mode of the unbound socket (less the umask): never too open.
    fchmod(&descriptor, Mode::from_bits_truncate(mode))?;
    bind(descriptor.as_raw_fd(), &UnixAddr::new(path)?)?;
    let file = SocketFile::of(path)?;
    // And then whatever the umask took away.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    listen(&descriptor, Backlog::new(BACKLOG)?)?;
    Ok((UnixListener::from(descriptor), file))
}

/// Removes what a killed predecessor left behind.
fn remove_stale(spec: &Bind, path: &Path) -> Result<(), Error> {
    let failed = |error| Error::listen(spec, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(Error::NoSocket { bind: spec.to_string() });
        }
        Ok(_) => {}
    }
    match try_connect(path) {
        Err(Errno::ECONNREFUSED) => {
            tracing::info!(path = %path.display(), "removing a stale unix socket");
            fs::remove_file(path).map_err(failed)
        }
        // Gone in the meantime.
        Err(Errno::ENOENT) => Ok(()),
        // With a full queue somebody listens, too.
        Ok(()) | Err(Errno::EAGAIN) => Err(Error::InUse { bind: spec.to_string() }),
        Err(error) => Err(failed(error.into())),
    }
}

fn try_connect(path: &Path) -> Result<(), Errno> {
    // Not blocking: a listener that hangs with a full queue would hang us as well.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let descriptor = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(descriptor.as_raw_fd(), &UnixAddr::new(path)?)
}

#[cfg(test)]
#[path = "listen_test.rs"]
mod listen_test;
