//! The harness of the black-box tests: the real binary, started in a directory of its own, and
//! clients that talk to it.
