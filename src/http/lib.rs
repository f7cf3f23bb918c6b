//! Everything between the network and a request: listeners (passed sockets, TCP, unix sockets,
//! TLS), the server loop with its limits and its orderly stop, bodies with limits, and the dialer
//! that whatever leaves the machine goes through.
//!
//! Invariant: this crate knows no Matrix. It hands a [`hyper::Request`] with a [`Connection`] in
//! its extensions to any tower service and writes the answer.
//!
//! ```text
//! Bind ── Listener::bind ──▶ Listener ── Server::serve(listener, service) ──▶ connections
//!             ▲                  ▲                                                │
//!       PassedSockets           Tls (swapped on reload)              Server::drain(grace)
//! ```

mod activity;
mod answer;
mod bind;
mod body;
mod broker;
mod connection;
mod dial;
mod driver;
mod error;
mod forwarded;
mod lanes;
mod limits;
mod listen;
mod outside;
mod passed;
mod range;
mod replaceable;
mod resolve;
mod serve;
mod slots;
mod socket;
mod stream;
mod system_dial;
#[cfg(test)]
mod testing;
mod tls;
mod traffic;
mod unix;
mod version;

pub use bind::Bind;
pub use body::{BodyError, BodyLimit, collect};
pub use broker::{Broker, BrokerDial, BrokerLimits, TellDenied};
pub use connection::{Connection, Peer};
pub use dial::{
    Attempt, AttemptFuture, Candidate, Dial, DialError, DialFuture, Dialled, Fate, Target,
    Transport,
};
pub use error::Error;
pub use forwarded::client_address;
pub use lanes::Lanes;
pub use limits::Limits;
pub use listen::Listener;
pub use outside::{OutsideResolver, answer_names};
pub use passed::PassedSockets;
pub use range::{IpRange, IpRangeError, IpRanges};
pub use replaceable::Replaceable;
pub use resolve::{Resolve, ResolveFuture, SystemResolver};
pub use serve::{CUT_TIMEOUT, Drained, Server};
pub use socket::Address;
pub use system_dial::{DialSettings, SystemDial};
pub use tls::{Certificate, Tls, TlsFiles};
pub use traffic::{ListenerStats, Traffic};

/// Any error of a service or a body; only its text is ever used.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
