//! A strict reader of the Prometheus text format: what it takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

const PREFIX: &str = "matrix_homeserver_";
/// The last words of names that are no counters: units, or what is counted.
const UNITS: [&str; 17] = [
    "bytes",
    "seconds",
    "info",
    "fds",
    "threads",
    "open",
    "requests",
    "users",
    "entries",
    "changes",
    "reads",
    "readers",
    "flight",
    "successful",
    "total",
    "max",
    "size",
];

type Labels = Vec<(String, String)>;

/// A family and its samples, by name and labels.
#[derive(Debug)]
pub(crate) struct Family {
    kind: String,
    samples: BTreeMap<(String, Labels), f64>,
}

/// All families, by their names without the prefix.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) families: BTreeMap<String, Family>,
}

impl Exposition {
    /// A sample, if it is there.
    pub(crate) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let owned = |(label, value): &(&str, &str)| ((*label).to_owned(), (*value).to_owned());
        let key = (name.to_owned(), labels.iter().map(owned).collect::<Labels>());
        self.families.values().find_map(|family| family.samples.get(&key).copied())
    }

    /// A sample that must be there.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {self:#?}"))
    }
}

/// Reads a whole text, or fails with what is wrong.
pub(crate) fn parse(text: &str) -> Exposition {
    assert!(text.ends_with('\n'), "the last line does not end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, said) = help.split_once(' ').expect("a help has a text");
            assert!(said.ends_with('.') && !said.contains('\\'), "{line}");
            let kind = lines.next().and_then(|next| next.strip_prefix("# TYPE ")).unwrap();
            let (same, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, same, "the type follows the help");
            name.strip_prefix(PREFIX).expect(line).clone_into(&mut current);
            check_name(&current, kind);
            let family = Family { kind: kind.to_owned(), samples: BTreeMap::new() };
            assert!(families.insert(current.clone(), family).is_none(), "{name} stands twice");
        } else {
            let (key, value) = sample(line);
            let family = families.get_mut(&current).expect("a family comes before its samples");
            check_sample(&current, family, &key, value);
            assert!(family.samples.insert(key, value).is_none(), "stands twice: {line}");
        }
    }
    for (name, family) in &families {
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    Exposition { families }
}

fn check_name(name: &str, kind: &str) {
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{name}: {kind}");
    assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
    let last = name.rsplit('_').next().unwrap();
    assert!(UNITS.contains(&last), "{name} does not end in a unit");
}

/// Name, labels and value of a line.
fn sample(line: &str) -> ((String, Labels), f64) {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let value = value.parse::<f64>().expect(line);
    assert!(value.is_finite() && value >= 0.0, "{line}");
    let Some((name, labels)) = series.split_once('{') else {
        return ((unprefixed(series), Vec::new()), value);
    };
    let mut rest = labels.strip_suffix('}').expect(line);
    let mut found = Labels::new();
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").expect(line);
        let (text, behind) = quoted(behind);
        found.push((label.to_owned(), text));
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    let different: BTreeSet<_> = found.iter().map(|(label, _)| label).collect();
    assert_eq!(different.len(), found.len(), "a label stands twice: {line}");
    ((unprefixed(name), found), value)
}

fn unprefixed(name: &str) -> String {
    name.strip_prefix(PREFIX).expect(name).to_owned()
}

/// The text up to the closing quotation mark, and what stands behind it.
fn quoted(text: &str) -> (String, &str) {
    let (mut out, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (out, &text[at + 1..]),
            '\\' => match characters.next().expect("an escape ends").1 {
                'n' => out.push('\n'),
                escaped @ ('\\' | '"') => out.push(escaped),
                other => panic!("no escape: {other}"),
            },
            character => out.push(character),
        }
    }
    panic!("no end: {text}")
}

fn check_sample(name: &str, family: &Family, key: &(String, Labels), value: f64) {
    let (sample, labels) = key;
    let has_bound = labels.iter().any(|(label, _)| label == "le");
    if family.kind != "histogram" {
        assert!(sample == name && !has_bound, "{key:?} in {name}");
        return;
    }
    let part = sample.strip_prefix(name).expect("a sample of its family");
    assert!(["_bucket", "_sum", "_count"].contains(&part), "{sample}");
    assert_eq!(has_bound, part == "_bucket", "{key:?}");
    assert!(part == "_sum" || value.fract() == 0.0, "{key:?} {value}");
}

/// Buckets hold what the smaller ones hold, and the last one everything.
fn check_histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for ((sample, labels), value) in &family.samples {
        if sample.ends_with("_bucket") {
            let (bound, rest) = labels.split_last().unwrap();
            let bound = if bound.1 == "+Inf" { f64::INFINITY } else { bound.1.parse().unwrap() };
            series.entry(rest.to_vec()).or_default().push((bound, *value));
        }
    }
    for (labels, mut buckets) in series {
        buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        assert!(buckets.is_sorted_by(|left, right| left.1 <= right.1), "{name} {labels:?}");
        let last = buckets.last().unwrap();
        let count = family.samples[&(format!("{name}_count"), labels.clone())];
        assert!(last.0.is_infinite() && last.1.total_cmp(&count).is_eq(), "{name} {labels:?}");
        assert!(family.samples.contains_key(&(format!("{name}_sum"), labels)), "{name}");
    }
}
