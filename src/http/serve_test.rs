//! Tests of `serve.rs`.
