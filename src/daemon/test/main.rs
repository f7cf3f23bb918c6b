//! The built program as an administrator meets it: its commands, its errors, its life.

mod commands;
mod database;
mod dialogue;
mod egress;
mod disk;
mod failures;
mod filter;
mod lifecycle;
mod machine;
mod places;
mod sandbox;
