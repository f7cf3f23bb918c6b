//! The harness of the black-box tests: the real binary, started in a directory of its own, and
//! clients that talk to it.

#![expect(clippy::missing_panics_doc, reason = "a harness says by a panic that a test failed")]

pub mod harness;
