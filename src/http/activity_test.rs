//! Tests of `activity.rs`.
