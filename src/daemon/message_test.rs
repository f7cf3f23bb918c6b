//! The constants against the catalog.

use std::collections::BTreeMap;

fn constants() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("message.rs").lines();
    let found = lines.filter_map(|line| {
        let (name, value) = line.strip_prefix("pub(crate) const ")?.split_once(": &str = \"")?;
        Some((value.trim_end_matches("\";"), name))
    });
    found.collect()
}

#[test]
fn every_message_has_an_entry_and_every_entry_a_message() {
    let catalog = include_str!("../../systemd/matrix-homeserver.catalog");
    let constants = constants();
    assert!(constants.len() > 10, "{constants:?}");
    let mut entries = Vec::new();
    for entry in catalog.split("\n-- ").skip(1) {
        let (id, rest) = entry.split_once('\n').unwrap();
        let (header, text) = rest.split_once("\n\n").unwrap();
        let fields: Vec<_> = header.lines().filter_map(|line| line.split_once(": ")).collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Subject", "Defined-By", "Documentation"], "{id}");
        assert!(!text.trim().is_empty(), "{id}");
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        entries.push(id);
    }
    entries.sort_unstable();
    assert_eq!(entries, constants.keys().copied().collect::<Vec<_>>());
}

/// A `MESSAGE_ID` that nothing says explains nothing.
#[test]
fn every_message_is_said_somewhere() {
    let sources = [
        include_str!("serve.rs"),
        include_str!("reload.rs"),
        include_str!("schema_steps.rs"),
        include_str!("storage.rs"),
        include_str!("certificates.rs"),
        include_str!("watchdog.rs"),
        include_str!("sandbox/mod.rs"),
        include_str!("egress.rs"),
    ];
    for name in constants().values() {
        let said = format!("message::{name}");
        assert!(sources.iter().any(|source| source.contains(&said)), "{name}");
    }
}
