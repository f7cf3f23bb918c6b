//! The pure protocol: rules per room version, events, authorization, state resolution, visibility.
//! No clock, no randomness, no file and no socket.
//!
//! An event's way, as types:
//!
//! ```text
//! Draft ──complete──▶ SignedPdu ─┐ own: into_own
//! foreign JSON ─parse─▶ SignedPdu ─┴ verify ─▶ VerifiedPdu ─authorize─▶ AuthorizedPdu
//! ```
//!
//! All of them hold a [`pdu::Pdu`], which is what the layers above store, share and read.

pub mod auth;
pub mod client_event;
pub mod clock;
pub mod draft;
pub mod filter;
mod hash;
pub mod json;
pub mod meter;
pub mod number;
pub mod pdu;
pub mod power;
pub mod redact;
mod redacted;
pub mod resolve;
pub mod rules;
pub mod signing;
pub mod size;
pub mod state;
pub mod verify;
pub mod visibility;

#[cfg(test)]
mod test_room;
#[cfg(test)]
mod test_source;
