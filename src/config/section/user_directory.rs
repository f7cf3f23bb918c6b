//! `[user_directory]`: who finds whom. Changed by a reload.

use crate::reader::Reader;

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDirectory {
    /// Whether searches find anybody.
    pub enabled: bool,
    /// Whether searches find every user of this server, not only those in public and shared rooms.
    pub search_all_users: bool,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> UserDirectory {
    UserDirectory {
        enabled: reader.or("enabled", true),
        search_all_users: reader.or("search_all_users", false),
    }
}
