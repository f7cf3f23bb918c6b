//! Several servers with a network that loses, delays, reorders and repeats, and falls apart: once
//! it is healed, they agree.

mod fake;
mod outcomes;
mod play;
