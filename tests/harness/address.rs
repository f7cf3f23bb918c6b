//! Loopback addresses that no other test has: the whole of 127.0.0.0/8 leads here.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering::Relaxed},
};

/// Below the ports that the kernel gives to outgoing connections.
const FIRST_PORT: u16 = 10_000;
const LAST_PORT: u16 = 30_000;

/// An address that nobody listens at: the process's number is the address, a counter the port.
///
/// A port that was free a moment ago can be taken the next; such an address cannot, and a server
/// that is killed and started again finds its own free.
pub fn unused_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST_PORT);
    let port = NEXT.fetch_add(1, Relaxed);
    assert!(port <= LAST_PORT, "a test process starts fewer servers than that");
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    // Linux process numbers have 22 bits; the bit on top keeps clear of 127.0.0.1.
    SocketAddr::from((Ipv4Addr::new(127, high | 0x40, middle, low), port))
}
