//! One file per section of the configuration: its keys, their defaults and bounds. What a key means
//! is said at its field.

pub mod admin;
pub mod cache;
pub mod database;
pub mod egress;
pub mod limits;
pub mod listener;
pub mod log;
pub mod password;
pub mod presence;
pub mod profile;
pub mod rate_limit;
pub mod registration;
pub mod room;
pub mod sandbox;
pub mod server;
pub mod session;
pub mod support;
pub mod turn;
pub mod user_directory;
pub mod well_known;
