//! The directives of a unit, from its file, from a drop-in over it, and from the options of NixOS. systemd.syntax(7).

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

/// Directives that take several words, in any order, on one line or on several.
const WORDS: [&str; 11] = [
    "After",
    "Before",
    "BindsTo",
    "Conflicts",
    "Documentation",
    "Environment",
    "PartOf",
    "Requires",
    "Requisite",
    "WantedBy",
    "Wants",
];

/// Section and directive, and the values in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives(BTreeMap<(String, String), Vec<String>>);

impl Directives {
    /// One line more.
    fn assign(&mut self, section: &str, key: &str, value: &str) {
        let values = self.0.entry((section.to_owned(), key.to_owned())).or_default();
        let is_switch = |value: &str| matches!(value, "yes" | "no" | "true" | "false");
        if WORDS.contains(&key) {
            values.extend(value.split_whitespace().map(str::to_owned));
            values.sort();
            values.dedup();
        } else if value.is_empty() || values.iter().all(String::is_empty) {
            *values = vec![value.to_owned()];
        } else if is_switch(value) {
            values.retain(|before| !is_switch(before));
            values.push(value.to_owned());
        } else {
            values.push(value.to_owned());
        }
    }

    /// The lines of a file, or of a drop-in, over what there is.
    pub(crate) fn read(mut self, text: &str) -> Self {
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            assert!(!line.ends_with('\\'), "this reader knows no continued lines: {line}");
            match (line.strip_prefix('['), line.split_once('=')) {
                (Some(header), _) => header.trim_end_matches(']').clone_into(&mut section),
                (None, Some((key, value))) => self.assign(&section, key.trim(), value.trim()),
                (None, None) => panic!("neither section nor directive: {line}"),
            }
        }
        self
    }

    /// Takes a directive out.
    pub(crate) fn remove(&mut self, section: &str, key: &str) {
        self.0.remove(&(section.to_owned(), key.to_owned()));
    }

    /// The values of a directive.
    pub(crate) fn get(&self, section: &str, key: &str) -> &[String] {
        self.0.get(&(section.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// With `after` for `before` in all values.
    pub(crate) fn replaced(&self, before: &str, after: &str) -> Self {
        let replace = |values: &Vec<String>| {
            values.iter().map(|value| value.replace(before, after)).collect()
        };
        Self(self.0.iter().map(|(key, values)| (key.clone(), replace(values))).collect())
    }

    /// What one has and the other has not, as lines.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let mut differences = Vec::new();
        for key in keys {
            let (ours, theirs) = (self.get(&key.0, &key.1), other.get(&key.0, &key.1));
            if ours != theirs {
                differences.push(format!("[{}] {}: {ours:?} and {theirs:?}", key.0, key.1));
            }
        }
        differences
    }

    /// The text of the unit.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for ((section, key), values) in &self.0 {
            if section != current {
                writeln!(text, "[{section}]").expect("a string takes everything");
                current = section;
            }
            for value in values {
                writeln!(text, "{key}={value}").expect("a string takes everything");
            }
        }
        text
    }
}

/// Options of NixOS, and the directives of [Unit] that they are.
const OPTIONS: [(&str, &str); 10] = [
    ("after", "After"),
    ("before", "Before"),
    ("bindsTo", "BindsTo"),
    ("conflicts", "Conflicts"),
    ("description", "Description"),
    ("documentation", "Documentation"),
    ("partOf", "PartOf"),
    ("requires", "Requires"),
    ("requisite", "Requisite"),
    ("wants", "Wants"),
];

/// Options that are sections.
const SECTIONS: [(&str, &str); 3] =
    [("unitConfig", "Unit"), ("serviceConfig", "Service"), ("socketConfig", "Socket")];

/// The unit that NixOS writes for these options.
pub(crate) fn from_options(options: &Value) -> Directives {
    let mut unit = Directives::default();
    let mut set = |section: &str, key: &str, value: &Value| match value {
        Value::Null => {}
        Value::Array(values) => {
            for value in values {
                unit.assign(section, key, value.as_str().expect("a text"));
            }
        }
        value => unit.assign(section, key, value.as_str().expect("a text")),
    };
    for (option, key) in OPTIONS {
        set("Unit", key, &options[option]);
    }
    for (option, section) in SECTIONS {
        for (key, value) in options[option].as_object().into_iter().flatten() {
            set(section, key, value);
        }
    }
    for (name, value) in options["environment"].as_object().into_iter().flatten() {
        let variable = format!("{name}={}", value.as_str().expect("a text"));
        set("Service", "Environment", &Value::String(variable));
    }
    set("Socket", "ListenStream", &options["listenStreams"]);
    set("Install", "WantedBy", &options["wantedBy"]);
    unit
}

#[test]
fn an_empty_assignment_forgets_and_the_last_switch_counts() {
    let base = Directives::default().read("[Service]\nA=one\nB=yes\nEnvironment=X=1 Y=2\n");
    let over = base.clone().read("# c\n[Service]\nA=\nA=two\nA=three\nB=no\n[Unit]\nAfter=b a\n");
    assert_eq!(over.get("Service", "A"), ["two", "three"]);
    assert_eq!(over.get("Service", "B"), ["no"]);
    assert_eq!(over.get("Service", "Environment"), ["X=1", "Y=2"]);
    assert_eq!(over.get("Unit", "After"), ["a", "b"]);
    assert_eq!(base.differences(&over).len(), 3);
    assert!(base.differences(&base).is_empty());
}
