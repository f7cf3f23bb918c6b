//! `/sync`: what happened since a client last asked, and waiting until something does.
//!
//! A request holds a token ([`token`]), a filter ([`filter`]) and some wishes ([`SyncRequest`]).
//! The [`notifier`] knows at once whether anything concerns its user; if so, [`plan`] sorts her
//! rooms into sections, the streams ([`stream`]) fill them from the log in memory or from the
//! database, and [`write`] puts the bytes together.
//!
//! Spec: client-server API, "Syncing", "Filtering", "Lazy-loading room members"; MSC4222.

mod answer;
mod concern;
mod delta;
mod error;
mod filter;
mod inner;
mod json;
mod lazy;
mod membership;
mod notifier;
mod plan;
mod recent;
mod request;
mod stream;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod token;
mod write;

pub use error::Error;
pub use filter::{FilterError, TIMELINE_LIMIT_DEFAULT, TIMELINE_LIMIT_MAX};
pub use inner::Parts;
pub use request::{StateSection, SyncRequest, TIMEOUT_MAX};
pub use sync::{Stats, Sync};
