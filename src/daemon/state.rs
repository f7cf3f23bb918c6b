//! The state directory: made for the server alone, and tried out before anything relies on it, so
//! that a full or read-only disk is said in one line and not by whatever fails first.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use crate::failure::Failure;

/// What is written for a try; less than this is no disk to start on.
const TRIED_BYTES: usize = 64 * 1024;
/// Name of the file that is written for a try.
const TRIED_FILE: &str = ".written-at-the-start";

/// Makes the directory where it is not there, and writes something in it.
pub(crate) fn prepare(path: &Path) -> Result<(), Failure> {
    let place = path.display();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Failure::new(format!("cannot make the state directory {place}: {error}"))
    })?;
    try_out(&path.join(TRIED_FILE)).map_err(|error| {
        Failure::new(format!("cannot write in the state directory {place}: {error}"))
    })
}

fn try_out(path: &Path) -> io::Result<()> {
    // What a killed predecessor left would not be ours to open.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(&vec![0; TRIED_BYTES]).and_then(|()| file.sync_all());
    // Also when it failed: a full disk must not be made fuller.
    fs::remove_file(path)?;
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_and_left_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one/two");
        prepare(&path).unwrap();
        prepare(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_server_left_is_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(TRIED_FILE), "left").unwrap();
        prepare(directory.path()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
