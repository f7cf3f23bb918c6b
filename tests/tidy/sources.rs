//! The files of the tree: those that git knows or would add, or all of them where there is no git.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::lexer::{Kind, kinds};

/// One text file.
pub(crate) struct Source {
    /// From the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// For Rust: what each byte is.
    kinds: Vec<Kind>,
}

impl Source {
    pub(crate) fn new(path: &str, text: String) -> Self {
        let is_rust = has_extension(path, "rs");
        let kinds = if is_rust { kinds(&text) } else { Vec::new() };
        Self { path: path.to_owned(), text, kinds }
    }

    pub(crate) fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }

    /// Rust of the server itself.
    pub(crate) fn is_server_rust(&self) -> bool {
        self.is_rust() && self.path.starts_with("src/")
    }

    pub(crate) fn is_lock_file(&self) -> bool {
        has_extension(&self.path, "lock") || self.path.ends_with("-lock.json")
    }

    /// The code alone: comments and the insides of literals are blanks, lines stay where they are.
    pub(crate) fn code(&self) -> String {
        self.only(Kind::Code)
    }

    /// The insides of literals alone.
    pub(crate) fn literals(&self) -> String {
        self.only(Kind::Literal)
    }

    fn only(&self, kind: Kind) -> String {
        let keep = |(index, character): (usize, char)| {
            if character == '\n' || self.kinds[index] == kind { character } else { ' ' }
        };
        self.text.char_indices().map(keep).collect()
    }
}

/// The number of the line in which the byte at `offset` stands.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().expect("the member lies in the root").to_owned()
}

/// All text files. What is no UTF-8 is no text, and no rule is about it.
pub(crate) fn read_all(root: &Path) -> Vec<Source> {
    let paths = listed_by_git(root).unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(root, root, &mut found);
        found
    });
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path)).ok()?;
        Some(Source::new(&path, text))
    };
    paths.into_iter().filter_map(read).collect()
}

/// `None` where git or its directory is missing, as in an unpacked source package.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
    let listed = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let is_build_output = name == "target" || name == ".git" || name == "__pycache__";
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && !is_build_output {
            walk(root, &path, found);
        } else if !is_directory && let Ok(inside) = path.strip_prefix(root) {
            found.push(inside.to_string_lossy().into_owned());
        }
    }
}

#[test]
fn both_ways_find_the_sources() {
    let root = root();
    let mut walked = Vec::new();
    walk(&root, &root, &mut walked);
    let this = "tests/tidy/sources.rs";
    assert!(walked.iter().any(|path| path == this));
    assert!(!walked.iter().any(|path| path.starts_with("target/")));
    if let Some(listed) = listed_by_git(&root) {
        assert!(listed.iter().any(|path| path == this));
    }
}

#[test]
fn views_keep_the_lines() {
    let source = Source::new("a.rs", "let a = \"b\"; // c\n/* d\n */ e".to_owned());
    assert_eq!(source.code(), "let a = \" \";     \n    \n    e");
    assert_eq!(source.literals(), "         b       \n    \n     ");
    assert_eq!(line_of(&source.text, source.text.len() - 1), 3);
}
