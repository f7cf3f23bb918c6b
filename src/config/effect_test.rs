//! What each key says of reload and restart, against what a change of it changes, and the manual.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    Config, Effect,
    testing::{self, changes},
};

fn load_text(text: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    testing::load_text(directory.path(), text)
}

/// Keys that are judged with others and change nothing by themselves.
const JUDGED: [&str; 1] = ["registration.without_verification"];

/// The keys of the sample with what each says of itself; a rate is one line there.
fn effects() -> BTreeMap<String, Effect> {
    let config = load_text("server_name = \"a.example\"\nreport_stats = false\n");
    let whole = |path: String| {
        let rate = path.strip_suffix(".per_second").or(path.strip_suffix(".burst"));
        rate.map_or_else(|| path.clone(), str::to_owned)
    };
    config.entries().iter().map(|entry| (whole(entry.path()), entry.effect)).collect()
}

/// Whether everything is the same that only a restart changes.
fn is_fixed_the_same(left: &Config, right: &Config) -> bool {
    let places = left.listeners.list.iter().zip(&right.listeners.list);
    left.fixed == right.fixed
        && left.listeners.list.len() == right.listeners.list.len()
        && places.into_iter().all(|(left, right)| left.is_at_the_place_of(right))
}

/// Whether everything is the same that a reload changes, at places that are the same.
fn is_reloadable_the_same(left: &Config, right: &Config) -> bool {
    let places = left.listeners.list.iter().zip(&right.listeners.list);
    left.reloadable == right.reloadable
        && places.into_iter().all(|(left, right)| {
            (&left.resources, left.x_forwarded, &left.tls)
                == (&right.resources, right.x_forwarded, &right.tls)
        })
}

#[test]
fn what_a_key_says_is_what_a_change_of_it_does() {
    let effects = effects();
    let changes = changes();
    assert_eq!(changes.len(), effects.len());
    for change in changes {
        let (before, after) = (load_text(&change.before), load_text(&change.after));
        let fixed = !is_fixed_the_same(&before, &after);
        let reloadable = !is_reloadable_the_same(&before, &after);
        let path = &change.path;
        let told = effects[path] == Effect::Restart;
        assert!(fixed == told, "{path} says {:?}", effects[path]);
        // A default elsewhere may follow a key that is fixed.
        assert!(reloadable || told || JUDGED.contains(&path.as_str()), "nothing follows {path}");
    }
}

#[test]
fn the_manual_says_of_every_key_what_it_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manual = fs::read_to_string(root.join("man/matrix-homeserver.toml.5")).unwrap();
    let (mut table, mut keys) = (String::new(), Vec::new());
    let mut told = BTreeMap::new();
    for line in manual.lines() {
        let line = line.replace("\\-", "-");
        if let Some(header) = line.strip_prefix(".SS ") {
            header.trim_matches(['"', '[', ']']).clone_into(&mut table);
            keys.clear();
        } else if line == ".TP" {
            keys.clear();
        } else if let Some(key) = line.strip_prefix(".B ").filter(|key| !key.contains(' ')) {
            let top = table.contains(' ');
            keys.push(if top { key.to_owned() } else { format!("{table}.{key}") });
        } else if let Some(effect) = line.strip_prefix("In force after a \\fB") {
            let effect = if effect == "reload\\fR." { Effect::Reload } else { Effect::Restart };
            told.extend(keys.drain(..).map(|key| (key, effect)));
        }
    }
    assert_eq!(told, effects());
}
