//! The part of the sources that an evaluation reads: in its place, or copied so that a mistake can be put in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// What is copied, from the root. Of `src/` and `man/` no more than names matter.
const PARTS: [&str; 10] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "flake.lock",
    "flake.nix",
    "man",
    "nix",
    "src/config/sample.toml",
    "src/daemon/dashboard.json",
    "systemd",
];

/// The checks themselves, beside what they check.
const CHECKS: &str = "tests/nix";

/// A root of sources.
pub(crate) struct Tree {
    root: PathBuf,
    /// Removes the copy.
    _copy: Option<TempDir>,
}

impl Tree {
    /// The sources where they are.
    pub(crate) fn of_sources() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Self { root: root.canonicalize().expect("the root of the sources"), _copy: None }
    }

    /// A copy of them.
    pub(crate) fn copied() -> Self {
        let sources = Self::of_sources();
        let copy = tempfile::tempdir().expect("a directory");
        for part in PARTS.into_iter().chain([CHECKS]) {
            place(&sources.root.join(part), &copy.path().join(part));
        }
        Self { root: copy.path().to_owned(), _copy: Some(copy) }
    }

    /// The path of a part of it.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        self.root.join(part)
    }

    /// The root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file.
    pub(crate) fn read(&self, part: &str) -> String {
        fs::read_to_string(self.path(part)).unwrap_or_else(|error| panic!("{part}: {error}"))
    }

    /// The names of the files in a directory.
    pub(crate) fn list(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).expect("a directory");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// Puts `after` where `before` stands, which has to be at exactly one place.
    pub(crate) fn replace(&self, part: &str, before: &str, after: &str) {
        let text = self.read(part);
        let places = text.matches(before).count();
        assert_eq!(places, 1, "{before:?} stands at {places} places of {part}");
        fs::write(self.path(part), text.replace(before, after)).expect("a written copy");
    }
}

fn place(source: &Path, target: &Path) {
    if source.is_dir() {
        fs::create_dir_all(target).expect("a directory");
        for entry in fs::read_dir(source).expect("a directory") {
            let entry = entry.expect("an entry");
            place(&entry.path(), &target.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(target.parent().expect("a directory above")).expect("a directory");
        fs::copy(source, target).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    }
}
