//! The matrix-homeserver binary.
fn main() {}
