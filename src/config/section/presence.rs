//! `[presence]`: who sees who is online. Changed by a reload.

use crate::reader::Reader;

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Whether presence is kept at all.
    pub enabled: bool,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Presence {
    Presence { enabled: reader.or("enabled", true) }
}
