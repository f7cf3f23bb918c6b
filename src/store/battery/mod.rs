//! The battery: every promise of the store, tried on both engines.

mod address;
mod advance;
mod basics;
mod crash;
mod durable;
mod group;
mod model;
mod node;
mod outage;
mod promised;
mod proxy;
mod signs;
mod snapshot;
mod stats;
mod table;
mod trace;
mod trips;
