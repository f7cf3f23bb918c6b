//! Tests of `dial.rs`.
