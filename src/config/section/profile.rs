//! `[profiles]`: what users may change in their profiles. Changed by a reload.

use crate::reader::Reader;

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    /// Whether users may change their display names.
    pub set_displayname: bool,
    /// Whether users may change their avatars.
    pub set_avatar_url: bool,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Profiles {
    Profiles {
        set_displayname: reader.or("set_displayname", true),
        set_avatar_url: reader.or("set_avatar_url", true),
    }
}
