//! The evaluated units against the files of `systemd/`, directive by directive.

use std::collections::BTreeSet;

use serde_json::{Map, json};

use crate::{Failure, evaluate::Evaluation, tree::Tree, unit::Directives};

/// Where the package puts the program, and where the files have it.
const IN_STORE: &str =
    "/nix/store/00000000000000000000000000000000-matrix-homeserver/bin/matrix-homeserver";
const IN_FILES: &str = "/usr/bin/matrix-homeserver";

const SERVER: &str = "matrix-homeserver.service";
const INSTANCE: &str = "matrix-homeserver@.service";
const DROP_IN: &str = "without-egress-broker.conf";

/// A unit of a scenario and the files that it is made of, a drop-in last.
const PAIRS: [(&str, &str, &[&str]); 12] = [
    ("plain", SERVER, &[SERVER]),
    ("plain", "matrix-homeserver.socket", &["matrix-homeserver.socket"]),
    ("plain", "matrix-homeserver-admin.socket", &["matrix-homeserver-admin.socket"]),
    ("plain", "matrix-homeserver-egress.socket", &["matrix-homeserver-egress.socket"]),
    ("plain", "matrix-homeserver-egress.service", &["matrix-homeserver-egress.service"]),
    ("rich", "matrix-homeserver-federation.socket", &["matrix-homeserver-federation.socket"]),
    ("rich", "matrix-homeserver-metrics.socket", &["matrix-homeserver-metrics.socket"]),
    ("without-broker", SERVER, &[SERVER, DROP_IN]),
    ("without-broker", "matrix-homeserver.socket", &["matrix-homeserver.socket"]),
    ("instance-without-broker", "matrix-homeserver@second.service", &[INSTANCE, DROP_IN]),
    ("instance-without-broker", "matrix-homeserver@second.socket", &["matrix-homeserver@.socket"]),
    ("several", "matrix-homeserver@second.socket", &["matrix-homeserver@.socket"]),
];

/// Compares all pairs, and sees that no file of `systemd/` is forgotten.
pub(crate) fn compare(tree: &Tree, evaluation: &Evaluation) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (scenario, name, files) in PAIRS {
        let check = format!("units-of-{scenario}-are-those-of-systemd");
        let Some(evaluated) = evaluation.units(scenario).remove(name) else {
            failures.push(Failure::new(check, format!("there is no {name}")));
            continue;
        };
        let expected = expected(tree, files);
        let differences = expected.differences(&evaluated.replaced(IN_STORE, IN_FILES));
        if !differences.is_empty() {
            let reason = format!("{name} in the file and evaluated:\n{}", differences.join("\n"));
            failures.push(Failure::new(check, reason));
        }
    }
    failures.extend(forgotten(tree));
    failures.extend(compare_users(tree, evaluation));
    failures
}

/// The users against sysusers.d(5), and the directories against tmpfiles.d(5).
fn compare_users(tree: &Tree, evaluation: &Evaluation) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut expected = Map::new();
    for line in lines(&tree.read("systemd/matrix-homeserver.sysusers")) {
        let mut parts = line.split('"').map(str::trim);
        let words: Vec<&str> = parts.next().unwrap_or_default().split_whitespace().collect();
        let [_, name, _] = words[..] else { panic!("not a user: {line}") };
        let home = |last: Option<&str>| last.filter(|home| !home.is_empty()).map(str::to_owned);
        let user = json!({
            "description": parts.next(),
            "group": name,
            "home": home(parts.next()).unwrap_or("/var/empty".to_owned()),
            "isSystemUser": true,
        });
        expected.insert(name.to_owned(), user);
    }
    if &expected != evaluation.users() {
        let reason = format!("{expected:?} and {:?}", evaluation.users());
        failures.push(Failure::new("users-are-those-of-sysusers", reason));
    }
    let expected = tree.read("systemd/matrix-homeserver.tmpfiles");
    if lines(&expected) != evaluation.tmpfiles() {
        let reason = format!("{expected:?} and {:?}", evaluation.tmpfiles());
        failures.push(Failure::new("directories-are-those-of-tmpfiles", reason));
    }
    failures
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

fn expected(tree: &Tree, files: &[&str]) -> Directives {
    let read = |unit: Directives, file: &&str| unit.read(&tree.read(&format!("systemd/{file}")));
    let mut unit = files.iter().fold(Directives::default(), read);
    // For `systemctl enable`, which NixOS does not have.
    unit.remove("Install", "Also");
    if unit.get("Socket", "ListenStream") == ["/run/matrix-homeserver-%i.sock"] {
        // The module knows the name, and nginx has to.
        unit =
            unit.replaced("/run/matrix-homeserver-%i.sock", "/run/matrix-homeserver-second.sock");
    }
    unit
}

fn forgotten(tree: &Tree) -> Option<Failure> {
    let compared: BTreeSet<&str> =
        PAIRS.into_iter().flat_map(|(_, _, files)| files).copied().collect();
    let has_kind =
        |name: &str| [".service", ".socket", ".conf"].iter().any(|end| name.ends_with(end));
    let files = tree.list("systemd");
    let forgotten: Vec<&String> =
        files.iter().filter(|name| has_kind(name) && !compared.contains(name.as_str())).collect();
    (!forgotten.is_empty()).then(|| {
        Failure::new("all-units-are-compared", format!("nothing is made of {forgotten:?}"))
    })
}
