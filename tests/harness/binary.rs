//! Finds the built server.

use std::path::{Path, PathBuf};

const NAME: &str = "matrix-homeserver";

/// The server that was built next to the running test: `target/PROFILE/matrix-homeserver`, with the
/// test in `target/PROFILE/deps/`.
///
/// # Panics
///
/// When it is not there, with what to do.
pub fn find_binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let binary = binary_beside(&test);
    assert!(
        binary.is_file(),
        "{} is missing: the black-box tests drive the built server; run \
         `cargo build --package matrix-homeserver` with the profile of the tests first",
        binary.display()
    );
    binary
}

fn binary_beside(test: &Path) -> PathBuf {
    let profile = test.ancestors().skip(1).find(|directory| !directory.ends_with("deps"));
    profile.unwrap_or(Path::new("/")).join(NAME)
}

#[test]
fn the_binary_stands_above_deps() {
    let expected = Path::new("/a/target/debug/matrix-homeserver");
    assert_eq!(binary_beside(Path::new("/a/target/debug/deps/http-1234")), expected);
    assert_eq!(binary_beside(Path::new("/a/target/debug/chat")), expected);
}
