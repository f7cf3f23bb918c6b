//! The built program as an administrator meets it: its commands, its errors, its life.

mod commands;
mod completions;
mod database;
mod dialogue;
mod egress;
mod exposition;
mod disk;
mod failures;
mod filter;
mod lifecycle;
mod machine;
mod manuals;
mod metrics;
mod places;
mod sandbox;
