//! `/sync` over real rooms and users, on both engines. Each incremental answer is asked for twice:
//! from memory, and from the database as after a restart; both have to be the same.

mod basics;
mod concurrent;
mod filters;
mod lazy;
mod memberships;
mod others;
mod state;
mod tokens;
mod typing;
mod world;
