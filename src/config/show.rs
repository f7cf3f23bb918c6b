//! Writes the configuration that is in force as TOML, secrets masked.

use std::fmt::Write;

use crate::{reader::Entry, tree::Origin};

/// The whole configuration; with `origins`, each line says where its value comes from.
pub(crate) fn show(entries: &[Entry], origins: bool) -> String {
    let mut text = String::new();
    for group in entries.chunk_by(|a, b| a.table == b.table && a.item == b.item) {
        if let Some(first) = group.first()
            && !first.table.is_empty()
        {
            // A table without any value must not come to be by being shown.
            let comment = if group.iter().all(|entry| entry.value.is_none()) { "# " } else { "" };
            // Writing into a string cannot fail.
            let _ = writeln!(text, "\n{comment}{}", header(first));
        }
        for entry in group {
            line(&mut text, entry, origins);
        }
    }
    text
}

fn header(entry: &Entry) -> String {
    // The tables below an item of an array belong to the item written last.
    let is_item = entry.item.is_some() && !entry.table.contains('.');
    if is_item { format!("[[{}]]", entry.table) } else { format!("[{}]", entry.table) }
}

fn line(text: &mut String, entry: &Entry, origins: bool) {
    let Some(value) = &entry.value else {
        let _ = writeln!(text, "# {} is not set", entry.key);
        return;
    };
    let _ = write!(text, "{} = {value}", entry.key);
    if origins {
        let place = entry.origin.as_ref().map_or_else(|| "default".to_owned(), Origin::to_string);
        let _ = write!(text, "  # {place}");
    }
    text.push('\n');
}
