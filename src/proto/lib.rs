//! The pure protocol: rules per room version, events, authorization, state resolution, visibility. No clock, no
//! randomness, no file and no socket.

pub mod clock;
pub mod number;
