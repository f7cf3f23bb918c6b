//! The tables of rooms: one file per family. Layer `room` decides; what stands here only reads and
//! writes.

pub mod aliases;
pub mod cache;
pub mod chains;
pub mod changes;
pub mod directory;
pub mod event;
pub mod events;
pub mod gaps;
pub mod groups;
pub mod keys;
pub mod levels;
pub mod members;
pub mod redactions;
pub mod rooms;
pub mod timeline;
pub mod txns;
