//! Which configuration is meant, before anything of it is read.

use std::path::PathBuf;

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The layers of the system.
    System,
    /// One main file and the fragments beside it.
    File(PathBuf),
}
