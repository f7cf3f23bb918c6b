//! The built program as an administrator meets it: its commands, its errors, its life.

mod commands;
mod failures;
mod lifecycle;
mod machine;
