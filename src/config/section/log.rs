//! `[log]`: what is logged and how. The level is changed by a reload, the format is fixed at the
//! start.

use crate::{reader::Reader, setting::Word};

/// How log lines leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The journal when standard error is connected to it, else text.
    Auto,
    /// The journal's own protocol, with fields.
    Journal,
    /// Lines of text on standard error.
    Text,
}

impl Word for Format {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("journal", Self::Journal), ("text", Self::Text)];
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or levels by part of the program, as in
    /// `info,room=debug`.
    pub level: String,
    /// The format.
    pub format: Format,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Log {
    let level = reader.or("level", "info".to_owned());
    reader.fixed();
    Log { level, format: reader.or("format", Format::Auto) }
}
