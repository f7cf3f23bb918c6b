//! The manuals as files: they render without a warning, name what there is, and are found by who
//! refers to them. Commands and options are compared beside the command line, keys beside the
//! configuration.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{exposition::parse, metrics};

/// Variables that libraries read for us.
const OF_LIBRARIES: [&str; 6] = [
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];
/// What looks like a variable and is none: of the build, of capabilities, of the journal's fields,
/// of Matrix's errors.
const OTHERS: [&str; 4] = ["CARGO_", "CAP_", "MESSAGE_", "M_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A manual with its hyphens as they are read.
fn manual(name: &str) -> String {
    text(&format!("man/{name}")).replace("\\-", "-")
}

/// The names of files in a directory with one of these endings.
fn files(directory: &str, endings: &[&str]) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<_> =
        names.filter(|name| endings.iter().any(|ending| name.ends_with(ending))).collect();
    assert!(!found.is_empty(), "{directory}");
    found
}

/// The tags of the lists in a section.
fn tags(manual: &str, section: &str) -> BTreeSet<String> {
    let start = format!(".SH {section}\n");
    let (_, rest) = manual.split_once(&start).unwrap_or_else(|| panic!("no {section}"));
    let section = rest.split("\n.SH ").next().unwrap();
    let mut found = BTreeSet::new();
    let mut lines = section.lines();
    while let Some(line) = lines.next() {
        if [".TP", ".TQ"].contains(&line) {
            let tag = lines.next().and_then(|tag| tag.strip_prefix(".B ")).expect("a plain tag");
            assert!(found.insert(tag.to_owned()), "{tag} stands twice");
        }
    }
    found
}

/// The sources of the daemon and of what reads its surroundings, without their tests.
fn sources() -> String {
    fn collect(directory: &Path, all: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "test" {
                collect(&path, all);
            } else if path.extension().is_some_and(|it| it == "rs") && !name.contains("test") {
                let source = fs::read_to_string(&path).unwrap();
                all.push_str(source.split("#[cfg(test)]\nmod tests {").next().unwrap());
            }
        }
    }
    let mut all = String::new();
    for directory in ["src/daemon", "src/config", "src/http"] {
        collect(&root().join(directory), &mut all);
    }
    all
}

#[test]
fn every_manual_renders_without_a_word() {
    for name in files("man", &[".1", ".5", ".7", ".8"]) {
        let path = root().join("man").join(&name);
        let man = Command::new("man")
            .env("MANWIDTH", "80")
            .args(["--warnings", "-E", "UTF-8", "-l"])
            .arg(&path)
            .output()
            .unwrap();
        let groff = Command::new("groff").args(["-ww", "-man", "-Tutf8"]).arg(&path).output();
        for output in [man, groff.unwrap()] {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && errors.is_empty(), "{name}: {errors}");
            assert!(output.stdout.len() > 1000, "{name}");
        }
    }
}

#[test]
fn whatever_refers_to_a_manual_of_ours_finds_it() {
    let there = files("man", &[".1", ".5", ".7", ".8"]);
    let find = |page: &str, section: &str, by: &str| {
        let file = format!("{page}.{section}");
        assert!(!page.starts_with("matrix-homeserver") || there.contains(&file), "{by}: {file}");
    };
    let mut count = 0;
    for name in files("systemd", &[".service", ".socket", ".catalog"]) {
        let text = text(&format!("systemd/{name}"));
        let told = text.lines().filter_map(|line| line.strip_prefix("Documentation"));
        let pages: Vec<&str> = told.flat_map(|told| told[1..].split_whitespace()).collect();
        assert!(!pages.is_empty(), "{name} refers to no manual");
        for page in pages {
            let page = page.strip_prefix("man:").and_then(|page| page.strip_suffix(')'));
            let (page, section) = page.expect("a manual").split_once('(').unwrap();
            find(page, section, &name);
            count += 1;
        }
    }
    for name in &there {
        for line in manual(name).lines() {
            let Some((page, section)) =
                line.strip_prefix(".BR ").and_then(|line| line.split_once(" ("))
            else {
                continue;
            };
            find(page, &section[..1], name);
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn the_service_manual_names_every_unit() {
    let units = files("systemd", &[".service", ".socket"]);
    assert_eq!(tags(&manual("matrix-homeserver.8"), "UNITS"), units);
}

#[test]
fn the_service_manual_names_signals_and_statuses_as_they_are() {
    let manual = manual("matrix-homeserver.8");
    let signals = text("src/daemon/signals.rs");
    let kinds = [("terminate", "SIGTERM"), ("interrupt", "SIGINT"), ("hangup", "SIGHUP")];
    let caught = kinds.iter().filter(|(kind, _)| signals.contains(&format!("SignalKind::{kind}(")));
    let caught: BTreeSet<String> = caught.map(|(_, name)| (*name).to_owned()).collect();
    assert_eq!(signals.matches("SignalKind::").count(), caught.len(), "an unknown signal");
    assert_eq!(tags(&manual, "SIGNALS"), caught);
    let failure = text("src/daemon/failure.rs");
    let constants = failure.lines().filter_map(|line| line.split_once(": u8 = "));
    let mut statuses: BTreeSet<String> =
        constants.map(|(_, value)| value.trim_end_matches(';').to_owned()).collect();
    // Success, and the one of the command line's library.
    statuses.extend(["0", "2"].map(str::to_owned));
    assert_eq!(tags(&manual, "EXIT STATUS"), statuses);
    assert_eq!(tags(&self::manual("matrix-homeserver.1"), "EXIT STATUS"), statuses);
}

#[test]
fn the_service_manual_names_the_variables_that_are_read() {
    let sources = sources();
    let quoted = sources.split('"').skip(1);
    let is_variable = |text: &&str| {
        let letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        text.contains('_') && text.len() > 6 && text.bytes().all(letter)
    };
    let ours = |text: &&str| !OTHERS.iter().any(|other| text.starts_with(other));
    let mut read: BTreeSet<String> =
        quoted.filter(is_variable).filter(ours).map(str::to_owned).collect();
    assert!(read.contains("MATRIX_HOMESERVER_EGRESS"), "{read:?}");
    read.extend(OF_LIBRARIES.map(str::to_owned));
    // The one name without a line in it.
    read.extend(sources.contains("var(\"MAINPID\")").then(|| "MAINPID".to_owned()));
    assert_eq!(tags(&manual("matrix-homeserver.8"), "ENVIRONMENT"), read);
}

#[test]
fn the_service_manual_names_the_credentials_of_the_sample() {
    let sample = text("src/config/sample.toml");
    let keys =
        sample.lines().filter_map(|line| line.trim_start_matches('#').split_once("_file = "));
    let names = keys.map(|(_, name)| name.trim_matches('"').to_owned());
    let credentials: BTreeSet<String> = names.filter(|name| !name.contains('/')).collect();
    assert_eq!(tags(&manual("matrix-homeserver.8"), "CREDENTIALS"), credentials);
}

#[test]
fn the_service_manual_names_every_metric() {
    let machine = metrics::machine();
    let _server = machine.serve();
    let (_, told) = machine.try_request("GET /metrics", None).unwrap();
    let families: BTreeSet<String> = parse(&told).families.into_keys().collect();
    assert_eq!(tags(&manual("matrix-homeserver.8"), "METRICS"), families);
}

#[test]
fn the_messages_are_told_in_their_order() {
    let source = text("src/daemon/message.rs");
    let constants = source.lines().filter_map(|line| line.split_once(": &str = \""));
    let known: Vec<&str> = constants.map(|(_, id)| id.trim_end_matches("\";")).collect();
    assert!(known.len() > 5, "{known:?}");
    let manual = manual("matrix-homeserver.7");
    let section = manual.split_once(".SH MESSAGES\n").unwrap().1;
    let section = section.split("\n.SH ").next().unwrap();
    let told: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix(".B ")).collect();
    assert_eq!(told.into_iter().filter(|tag| tag.len() == 32).collect::<Vec<_>>(), known);
}

#[test]
fn the_walks_go_by_files_that_are_there() {
    let manual = manual("matrix-homeserver.7");
    let words = manual.split(|c: char| c.is_whitespace() || "(),;:".contains(c));
    let paths: BTreeSet<&str> = words.filter(|word| word.starts_with("src/")).collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
    }
    // Every crate has its line.
    let members = text("Cargo.toml");
    let members = members.lines().filter_map(|line| line.trim().strip_prefix("\"src/"));
    let members: BTreeSet<String> =
        members.map(|member| format!("src/{}", member.trim_end_matches("\","))).collect();
    let layers = manual.split(".SH LAYERS").nth(1).unwrap().split(".SH ").next().unwrap();
    let told = layers.lines().filter_map(|line| line.strip_prefix(".I "));
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), members);
}
