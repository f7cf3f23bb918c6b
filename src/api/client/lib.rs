//! The client-server API over HTTP: one table of routes ([`routes`]) and one file of thin handlers
//! per group of the specification's endpoints.
//!
//! The daemon makes a [`State`] from the handles of the crates below and asks [`router`] for the
//! router of each listener:
//!
//! ```text
//! State::new(Parts { … }) ── router(&state, Listening { … }) ──▶ axum::Router ──▶ http::Server
//! ```
//!
//! A request goes through `router` (token, rate limit, body) and `extract` (typed values) to its
//! handler; errors of any crate become statuses and `M_…` codes in `error`, and nowhere else.
//!
//! Spec: client-server API.

mod account;
mod account_data;
mod alias;
mod attempt;
mod capabilities;
mod create_room;
mod device;
mod directory;
mod discovery;
mod error;
mod events;
mod extract;
mod fallback;
mod filter;
mod guests;
mod landing;
mod listening;
mod membership;
mod messages;
mod meters;
mod page;
mod presence;
mod profile;
mod push_rules;
mod rate;
mod receipt;
mod redact;
mod register;
mod reply;
mod router;
mod routes;
mod send;
mod session;
mod settings;
mod shared_secret;
mod state;
mod state_events;
mod sync_events;
mod tag;
#[cfg(test)]
mod tests;
mod third_party;
mod turns;
mod typing;
mod uia;
mod upgrade;
mod user_directory;
mod versions;
mod voip;

pub use listening::Listening;
pub use meters::{RequestStats, RouteStats};
pub use rate::{Rate, RateLimits};
pub use router::router;
pub use settings::{Contact, Settings, SettingsHandle, Support, Turn};
pub use state::{Parts, State};
