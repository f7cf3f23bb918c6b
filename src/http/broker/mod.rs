//! The egress broker: a process with a network connects for one that has none.
//!
//! ```text
//! BrokerDial ── unix socket ──▶ Broker ── resolve, check, connect ──▶ the world
//!     ▲                            │
//!     └── the connected socket ────┘   (SCM_RIGHTS)
//! ```
//!
//! The client asks and gets the very TCP socket, so that no byte of the connection passes the
//! broker, and TLS ends where the request is made.
//!
//! Invariant: every address is checked by the broker, after it was resolved; the client can name a
//! target, but no range. Neither side trusts the other's bytes: whatever cannot be read is an
//! error, and a descriptor that nobody wants is closed.
//!
//! One request goes over each connection. So requests need no numbers, answers cannot be mixed up,
//! and a client that gives up says so by closing, which ends the attempt. A connection to a unix
//! socket costs a few microseconds, nothing beside the one that is asked for.

mod client;
pub(crate) mod descriptor;
mod message;
mod server;

pub use client::BrokerDial;
pub use server::{Broker, BrokerLimits, TellDenied};
