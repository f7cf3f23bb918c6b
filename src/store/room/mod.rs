//! The tables of rooms: one file per family. Layer `room` decides; what stands here only reads and writes.

pub mod event;
