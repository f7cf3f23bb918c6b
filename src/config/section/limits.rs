//! `[limits]`: how much of the server one client may take. Changed by a reload, for connections
//! that come after it.

use std::time::Duration;

use crate::{reader::Reader, unit::Size};

/// What is left for requests at a stop of the time that the units leave for it
/// (`TimeoutStopSec=60s`), once the rest is done in its own limits.
const STOP_TIMEOUT_MAX: Duration = Duration::from_secs(40);

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, over all listeners.
    pub connections: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// Time for a TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Time for a request's body to arrive.
    pub body_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// How long a client may take no byte of an answer.
    pub write_timeout: Duration,
    /// Greatest size of a request's head.
    pub header_size: Size,
    /// How long requests may go on when the server stops.
    pub stop_timeout: Duration,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Limits {
    let seconds = Duration::from_secs;
    let bounds = || seconds(1)..=seconds(3600);
    let stop = seconds(1)..=STOP_TIMEOUT_MAX;
    Limits {
        connections: reader.within("connections", 10_000, 10..=1_000_000),
        streams: reader.within("streams", 128, 1..=10_000),
        tls_handshake_timeout: reader.within("tls_handshake_timeout", seconds(10), bounds()),
        header_timeout: reader.within("header_timeout", seconds(20), bounds()),
        body_timeout: reader.within("body_timeout", seconds(60), bounds()),
        idle_timeout: reader.within("idle_timeout", seconds(120), bounds()),
        write_timeout: reader.within("write_timeout", seconds(60), bounds()),
        header_size: reader.within("header_size", Size::kib(64), Size::kib(8)..=Size::mib(1)),
        stop_timeout: reader.within("stop_timeout", seconds(20), stop),
    }
}
