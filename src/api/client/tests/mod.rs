//! The API over its own router, in process, on both engines: what a client asks and what it is
//! told.

mod accounts;
mod bad_input;
mod directory;
mod events;
mod fallback;
mod limits;
mod rooms;
mod server;
mod sessions;
mod syncing;
mod user_data;
mod world;
