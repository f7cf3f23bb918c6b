//! Rooms as a whole, on both engines.

mod basics;
mod world;
