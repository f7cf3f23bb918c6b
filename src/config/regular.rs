//! Opening the files that make a configuration, and those that it names.
//!
//! Invariant: opening and reading come to an end whatever has the name. Whoever opens a FIFO as
//! usual waits until somebody writes, and so would the start, or every request during a reload.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use nix::{fcntl::OFlag, sys::stat::makedev};

/// Opens a file for reading if it is a regular one.
///
/// # Errors
/// What the system says, or that it is something else.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    let reason = if metadata.is_dir() { "it is a directory" } else { "it is no regular file" };
    Err(io::Error::other(reason))
}

/// Opens whatever it is for reading, without waiting for anybody.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Whether it is `/dev/null`, or a link to it.
pub(crate) fn is_null(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| {
        metadata.file_type().is_char_device() && metadata.rdev() == makedev(1, 3)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn nothing_but_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let reason = |name: &str| {
            open_regular(&directory.path().join(name)).map(|_| ()).unwrap_err().to_string()
        };
        mkfifo(&directory.path().join("fifo"), Mode::S_IRWXU).unwrap();
        assert_eq!(reason("fifo"), "it is no regular file");
        assert_eq!(reason("/dev/zero"), "it is no regular file");
        assert_eq!(reason(""), "it is a directory");
        assert!(reason("none").starts_with("No such file"));
        fs::write(directory.path().join("file"), "text").unwrap();
        let (file, metadata) = open_regular(&directory.path().join("file")).unwrap();
        assert_eq!((io::read_to_string(file).unwrap(), metadata.len()), ("text".to_owned(), 4));
        assert!(is_null(Path::new("/dev/null")) && !is_null(Path::new("/dev/zero")));
    }
}
