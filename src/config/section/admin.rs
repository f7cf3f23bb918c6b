//! `[admin]`: the socket of the administrative commands. Fixed at the start.

use std::path::{Path, PathBuf};

use crate::{Source, reader::Reader};

/// Where the socket is on a machine whose service manager holds it.
const SYSTEM_SOCKET: &str = "/run/matrix-homeserver-admin.sock";

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The unix socket. Root and the server's own user may use it.
    pub socket: PathBuf,
}

pub(crate) fn read(reader: &mut Reader<'_>, source: &Source, state_directory: &Path) -> Admin {
    reader.fixed();
    // Several servers may run with a file each, so that each needs a socket of its own.
    let default = match source {
        Source::System => PathBuf::from(SYSTEM_SOCKET),
        Source::File(_) => state_directory.join("admin.sock"),
    };
    Admin { socket: reader.or("socket", default) }
}
