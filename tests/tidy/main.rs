//! What the sources have to look like: the layers, the sizes and the words of the design, checked
//! on every run of the tests.
//!
//! Each rule is a function from a file (or a manifest) to its offences, and has a test of its own
//! with a bad sample, so that no rule can pass because it sees nothing.

mod layers;
mod lexer;
mod sizes;
mod sources;
mod words;

use std::fmt;

use sources::Source;

/// One place that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offence {
    path: String,
    /// The line, from 1; 0 for the file as a whole.
    line: usize,
    reason: String,
}

impl Offence {
    fn new(source: &Source, line: usize, reason: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, reason: reason.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

/// Every rule that looks at one file at a time.
const RULES: &[fn(&Source) -> Vec<Offence>] = &[
    sizes::long_files,
    sizes::long_lines,
    sizes::long_functions,
    words::missing_opening,
    words::ignored_tests,
    words::unfinished,
    words::unbounded_channels,
    words::allow_attributes,
    words::sql_outside_store,
    words::registry_hosts,
];

#[test]
fn the_tree_is_tidy() {
    let root = sources::root();
    let all = sources::read_all(&root);
    let rust_files = all.iter().filter(|source| source.is_rust()).count();
    assert!(rust_files > 20, "the sources are not found: {rust_files} Rust files only");
    let mut offences: Vec<Offence> =
        all.iter().flat_map(|source| RULES.iter().flat_map(move |rule| rule(source))).collect();
    offences.extend(layers::check(&root));
    offences.sort();
    let listed: Vec<String> = offences.iter().map(ToString::to_string).collect();
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), listed.join("\n"));
}

/// A file for the rules' own tests.
fn sample(path: &str, text: &str) -> Source {
    Source::new(path, text.to_owned())
}

/// Asserts that `rule` finds something on exactly these lines.
fn assert_lines(rule: fn(&Source) -> Vec<Offence>, source: &Source, lines: &[usize]) {
    let found: Vec<usize> = rule(source).iter().map(|offence| offence.line).collect();
    assert_eq!(found, lines, "{:?}", rule(source));
}
