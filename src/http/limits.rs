//! The limits of a server: one named number for everything that a client could otherwise stretch.

use std::time::Duration;

/// Limits of all listeners of one [`crate::Server`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, over all listeners that have none of their own; further ones wait in
    /// the kernel's queue.
    pub max_connections: usize,
    /// Time for a TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time from the first byte of a request's head (for a connection's first request: from the
    /// connection's start) to its last.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request. A request that waits for its answer,
    /// such as a long poll, is no idleness, however long it takes.
    pub idle_timeout: Duration,
    /// How long a client may take no byte of an answer that is ready.
    pub write_timeout: Duration,
    /// Greatest size of a request's head in bytes; at least 8192, as hyper asks for that.
    pub max_header_bytes: u32,
    /// Greatest number of header fields of a request over HTTP/1.
    pub max_headers: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            tls_handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(20),
            // Longer than the usual keep-alive of proxies, so that they close first.
            idle_timeout: Duration::from_mins(2),
            write_timeout: Duration::from_mins(1),
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_concurrent_streams: 128,
        }
    }
}
