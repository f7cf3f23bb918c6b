//! Which version of HTTP a connection speaks. A plain one tells with its first bytes, which stay in
//! the socket: a reader that is handed them apart from the rest takes twice the memory for them, as
//! long as the connection is open.

use std::io;

use rustix::net::RecvFlags;
use tokio::io::Interest;

use crate::stream::{Plain, Stream};

/// No request of HTTP/1.1 (RFC 9113, section 3.4).
const HTTP2_BEGINS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    Http1,
    Http2,
}

impl HttpVersion {
    /// Waits for the first bytes of a plain connection; with TLS, the handshake has told.
    pub(crate) async fn of(stream: &Stream) -> io::Result<Self> {
        match stream {
            Stream::Plain(plain) => Self::by_first_bytes(plain).await,
            Stream::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => Ok(Self::Http2),
            Stream::Tls(_) => Ok(Self::Http1),
        }
    }

    async fn by_first_bytes(plain: &Plain) -> io::Result<Self> {
        let mut begin = [0; HTTP2_BEGINS.len()];
        loop {
            let ready = plain.ready(Interest::READABLE).await?;
            let told = plain.try_io(Interest::READABLE, || {
                let (length, _) = rustix::net::recv(plain, &mut begin, RecvFlags::PEEK)?;
                // "P" may become either; what is at hand already does not wake this again.
                Self::told(&begin[..length], ready.is_read_closed())
                    .ok_or(io::ErrorKind::WouldBlock.into())
            });
            match told {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                told => return told,
            }
        }
    }

    /// What these bytes tell; `None` if more must come. Of a client that says no more, the rest of
    /// the server finds out what is missing.
    fn told(begin: &[u8], is_all: bool) -> Option<Self> {
        match begin {
            HTTP2_BEGINS => Some(Self::Http2),
            _ if is_all || !HTTP2_BEGINS.starts_with(begin) => Some(Self::Http1),
            _ => None,
        }
    }
}
