//! `[admin]`: the socket of the administrative commands. Fixed at the start.

use std::path::{Path, PathBuf};

use crate::reader::Reader;

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The unix socket. Root and the server's own user may use it.
    pub socket: PathBuf,
}

pub(crate) fn read(reader: &mut Reader<'_>, state_directory: &Path) -> Admin {
    Admin { socket: reader.or("socket", state_directory.join("admin.sock")) }
}
