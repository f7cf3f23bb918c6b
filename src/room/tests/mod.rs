//! Rooms as a whole, on both engines.

mod basics;
mod directory;
mod forged;
mod forger;
mod invites;
mod large;
mod membership;
mod mutated;
mod naming;
mod outcomes;
mod reading;
mod redaction;
mod upgrade;
mod visibility;
mod world;
