//! Messages with a descriptor beside them, over a unix stream socket; see `unix(7)`, `SCM_RIGHTS`.
//!
//! Invariant: a received descriptor is owned from the moment at which it is there, and closed when
//! its owner goes; children do not inherit it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use tokio::{io::Interest, net::UnixStream};

/// Sends all bytes; the descriptor goes with the first of them.
pub(crate) async fn send(
    stream: &UnixStream,
    mut bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut descriptor = descriptor;
    while !bytes.is_empty() {
        let part = || send_part(stream, bytes, descriptor);
        let sent = stream.async_io(Interest::WRITABLE, part).await?;
        descriptor = None;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn send_part(
    stream: &UnixStream,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptor.as_slice())) {
        return Err(io::Error::other("the descriptor does not fit into its message"));
    }
    if descriptor.is_none() {
        control.clear();
    }
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Receives some bytes, none at the end of the stream, and at most one descriptor.
pub(crate) async fn receive(
    stream: &UnixStream,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    stream.async_io(Interest::READABLE, || receive_part(stream, buffer)).await
}

fn receive_part(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(buffer)];
    let received = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    let descriptor = descriptors.next();
    if descriptors.next().is_some() || received.flags.contains(ReturnFlags::CTRUNC) {
        // The kernel has closed what it could not give.
        let reason = "several descriptors came, or one that this process may not have beside those \
                      that it has (see LimitNOFILE= of systemd.exec(5))";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok((received.bytes, descriptor))
}
