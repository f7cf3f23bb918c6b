//! Starts the built `matrix-homeserver` and talks to it as its users do.
//!
//! ```ignore
//! let server = Server::start(Setup::default()).await;
//! let alice = server.register_user("alice").await;
//! let room = alice.post("/_matrix/client/v3/createRoom", &json!({})).await.ok();
//! ```
//!
//! Invariant: every server has a directory, an address and a process of its own, and all three are
//! gone when it is dropped; tests can run side by side, and next to a server of the machine's.

mod address;
mod binary;
mod client;
mod process;
mod server;
mod setup;
mod tls;
mod user;

pub use address::unused_address;
pub use binary::find_binary;
pub use client::{Client, ClientError, Protocol, Reply, Target};
pub use server::Server;
pub use setup::{Database, Setup};
pub use tls::TestCertificate;
pub use user::{REGISTRATION_SECRET, TestUser};
