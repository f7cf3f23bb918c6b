//! The built program as an administrator meets it: its commands, its errors, its life.

mod certificates;
mod commands;
mod completions;
mod database;
mod dialogue;
mod disk;
mod drain;
mod egress;
mod egress_sandbox;
mod exposition;
mod failures;
mod filter;
mod journal;
mod lifecycle;
mod machine;
mod manager;
mod manuals;
mod metrics;
mod names;
mod places;
mod reload;
mod sandbox;
mod service;
mod verdict;
