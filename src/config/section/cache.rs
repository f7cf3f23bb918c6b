//! `[cache]`: one budget for everything that is kept in memory to be quick. Fixed at the start.

use crate::{reader::Reader, unit::Size};

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// What all caches together may hold.
    pub memory: Size,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Cache {
    reader.fixed();
    Cache { memory: reader.within("memory", Size::mib(64), Size::mib(8)..=Size::gib(1024)) }
}
