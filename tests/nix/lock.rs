//! `flake.lock` against `flake.nix`: it locks what the flake asks for and nothing else, in the form that Nix writes.

use serde_json::{Value, json};

use crate::{Failure, evaluate::Evaluation, tree::Tree};

/// The version of the file's form.
const VERSION: u64 = 7;

pub(crate) fn check(tree: &Tree, evaluation: &Evaluation) -> Vec<Failure> {
    let lock: Value = serde_json::from_str(&tree.read("flake.lock")).expect("JSON");
    let locked = &lock["nodes"]["nixpkgs"]["locked"];
    let original = &lock["nodes"]["nixpkgs"]["original"];
    let url = format!(
        "{}:{}/{}/{}",
        text(original, "type"),
        text(original, "owner"),
        text(original, "repo"),
        text(original, "ref")
    );
    let same = ["owner", "repo", "type"].iter().all(|key| locked[*key] == original[*key]);
    let nodes: Vec<&String> =
        lock["nodes"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    let checks = [
        ("lock-is-for-the-input-of-the-flake", url == evaluation.text("nixpkgs") && same),
        ("lock-has-one-input", nodes == ["nixpkgs", "root"]),
        ("lock-has-a-root", lock["nodes"]["root"] == json!({ "inputs": { "nixpkgs": "nixpkgs" } })),
        ("lock-has-a-form", lock["version"] == VERSION && lock["root"] == "root"),
        ("lock-names-a-commit", is_commit(text(locked, "rev"))),
        ("lock-has-a-hash", is_hash(text(locked, "narHash"))),
        (
            "lock-has-a-time",
            locked["lastModified"].as_u64().is_some_and(|time| time > 1_700_000_000),
        ),
    ];
    let failed = checks.into_iter().filter(|(_, holds)| !holds);
    failed.map(|(name, _)| Failure::new(name, lock.to_string())).collect()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// SHA-256 in base64: 43 characters and one that fills up.
fn is_hash(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.strip_prefix("sha256-")
        .and_then(|hash| hash.strip_suffix('='))
        .is_some_and(|hash| hash.len() == 43 && hash.bytes().all(is_base64))
}
