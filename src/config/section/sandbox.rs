//! `[sandbox]`: what the process may reach once it runs. Fixed at the start.

use std::path::PathBuf;

use crate::{reader::Reader, setting::Word};

/// What becomes of a kernel that cannot close the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock {
    /// The server does not start.
    Enforce,
    /// It starts with what the kernel can do and says what is missing.
    BestEffort,
    /// There is no sandbox.
    Off,
}

impl Word for Landlock {
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("best-effort", Self::BestEffort), ("off", Self::Off)];
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// How strictly it is closed.
    pub landlock: Landlock,
    /// What may be read besides what the configuration names.
    pub read_paths: Vec<PathBuf>,
    /// What may be written besides the state.
    pub write_paths: Vec<PathBuf>,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Sandbox {
    reader.fixed();
    Sandbox {
        landlock: reader.or("landlock", Landlock::Enforce),
        read_paths: reader.or("read_paths", Vec::new()),
        write_paths: reader.or("write_paths", Vec::new()),
    }
}
