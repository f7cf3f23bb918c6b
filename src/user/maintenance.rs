//! The clockwork of this crate: typing that times out, presence that goes idle, last-seen times that are written.

/// Does what is due; the daemon spawns it.
pub struct Maintenance {}

impl Maintenance {
    /// Runs until it is dropped.
    pub async fn run(self) {
        todo!()
    }
}
