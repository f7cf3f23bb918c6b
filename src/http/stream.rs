//! One type for every kind of accepted connection, so that the server loop is compiled once.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

/// An accepted connection before TLS.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Plain {
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
        }
    }

    /// Runs this on the socket. If it would block, the next [`Plain::ready`] waits for news.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        action: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, action),
            Self::Unix(stream) => stream.try_io(interest, action),
        }
    }
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// An accepted connection as HTTP sees it.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
}

/// Forwards a poll function to whatever is inside.
macro_rules! forward {
    ($self:ident, $type:ident { $($variant:ident),* }, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            $($type::$variant($inner) => {
                let $inner = Pin::new($inner);
                $call
            })*
        }
    };
}

macro_rules! forward_io {
    ($type:ident { $($variant:ident),* }) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                forward!(self, $type { $($variant),* }, inner => inner.poll_read(context, buffer))
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                forward!(self, $type { $($variant),* }, inner => inner.poll_write(context, bytes))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                forward!(self, $type { $($variant),* },
                    inner => inner.poll_write_vectored(context, slices))
            }

            fn is_write_vectored(&self) -> bool {
                match self { $($type::$variant(inner) => inner.is_write_vectored()),* }
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                forward!(self, $type { $($variant),* }, inner => inner.poll_flush(context))
            }

            fn poll_shutdown(
                self: Pin<&mut Self>, context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                forward!(self, $type { $($variant),* }, inner => inner.poll_shutdown(context))
            }
        }
    };
}

forward_io!(Plain { Tcp, Unix });
forward_io!(Stream { Plain, Tls });
