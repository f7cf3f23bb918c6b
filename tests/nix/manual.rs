//! What a change of a setting takes, by the manual, which the server's own tests compare with the code.

use std::collections::BTreeSet;

use crate::{Failure, evaluate::Evaluation, tree::Tree};

const MANUAL: &str = "man/matrix-homeserver.toml.5";
const RESTART: &str = r"In force after a \fBrestart\fR.";

/// The keys of which the manual says that a restart alone puts them in force.
fn fixed_keys(manual: &str) -> BTreeSet<String> {
    let mut fixed = BTreeSet::new();
    let mut section = String::new();
    let mut keys: Vec<&str> = Vec::new();
    let mut before = "";
    for line in manual.lines() {
        if let Some(title) = line.strip_prefix(".SS ") {
            let is_section = title.contains('[');
            let name = title.trim_matches(['"', '[', ']']);
            section = if is_section { format!("{name}.") } else { String::new() };
        } else if let Some(key) = line.strip_prefix(".B ") {
            match before {
                ".TP" => keys = vec![key],
                ".TQ" => keys.push(key),
                _ => {}
            }
        } else if line == RESTART {
            fixed.extend(keys.iter().map(|key| format!("{section}{}", key.replace('\\', ""))));
        }
        before = line;
    }
    fixed
}

pub(crate) fn check(tree: &Tree, evaluation: &Evaluation) -> Option<Failure> {
    let (manual, module) = (fixed_keys(&tree.read(MANUAL)), evaluation.fixed_keys());
    let reason = || {
        let missing: Vec<_> = manual.difference(&module).collect();
        let more: Vec<_> = module.difference(&manual).collect();
        format!("the module misses {missing:?}, and the manual {more:?}")
    };
    (manual != module).then(|| Failure::new("fixed-settings-are-those-of-the-manual", reason()))
}

#[test]
fn the_keys_are_found() {
    let manual = ".SS \"At the top\"\n.TP\n.B name\n.br\nIn force after a \\fBrestart\\fR.\n.SS \"[[a]]\"\n.TP\n\
                  .B one\n.TQ\n.B two_\\-file\nText.\n.br\nIn force after a \\fBrestart\\fR.\n.TP\n.B three\n\
                  In force after a \\fBreload\\fR.\n";
    let found: Vec<String> = fixed_keys(manual).into_iter().collect();
    assert_eq!(found, ["a.one", "a.two_-file", "name"]);
}
