//! The NixOS module, the package and the flake, evaluated by Nix: nothing is built and nothing is fetched.
//!
//! `checks.nix` says what each of them has to come to. What it says of the units is compared with the files of `systemd/`
//! here, by a reader that shares nothing with the module's. Each check is seen failing under a seeded mistake. The library
//! that stands in for nixpkgs' is `lib/`; where the environment variable `NIXPKGS_LIB` names a real one (the directory
//! with its `default.nix`), that is taken.

mod evaluate;
mod lock;
mod manual;
mod mutations;
mod place;
mod tree;
mod unit;
mod units;
mod verify;

use std::{fs, process::Command};

use evaluate::Evaluation;
use tests::harness::find_binary;
use tree::Tree;

/// A check that fails, and how.
#[derive(Debug)]
struct Failure {
    check: String,
    reason: String,
}

impl Failure {
    fn new(check: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { check: check.into(), reason: reason.into() }
    }
}

/// Everything that is wrong with a tree of sources, or what Nix says where it cannot tell.
fn failures(tree: &Tree) -> Result<Vec<Failure>, String> {
    let evaluation = Evaluation::of(tree)?;
    let mut failures = evaluation.failed_checks();
    failures.extend(units::compare(tree, &evaluation));
    failures.extend(lock::check(tree, &evaluation));
    failures.extend(manual::check(tree, &evaluation));
    failures.extend(place::check(tree, &evaluation));
    Ok(failures)
}

fn assert_none(failures: &[Failure]) {
    let listed: Vec<String> =
        failures.iter().map(|failure| format!("{}: {}", failure.check, failure.reason)).collect();
    assert!(failures.is_empty(), "{} checks fail:\n{}", failures.len(), listed.join("\n"));
}

#[test]
fn the_module_the_package_and_the_flake_are_what_they_should() {
    let tree = Tree::of_sources();
    assert_none(&failures(&tree).expect("an evaluation"));
}

#[test]
fn every_seeded_mistake_fails_its_check() {
    mutations::run();
}

#[test]
fn a_forgotten_unit_is_missed() {
    let tree = Tree::copied();
    fs::write(tree.path("systemd/matrix-homeserver-more.socket"), "[Socket]\n").expect("a file");
    let found = failures(&tree).expect("an evaluation");
    assert!(found.iter().any(|failure| failure.check == "all-units-are-compared"), "{found:?}");
}

#[test]
fn systemd_understands_the_evaluated_units() {
    let evaluation = Evaluation::of(&Tree::of_sources()).expect("an evaluation");
    for scenario in ["plain", "rich", "several", "without-broker", "instance-without-broker"] {
        verify::assert_silent(scenario, &evaluation.units(scenario));
    }
}

#[test]
fn the_server_takes_the_evaluated_settings() {
    let evaluation = Evaluation::of(&Tree::of_sources()).expect("an evaluation");
    for (scenario, more) in
        [("plain", &["--service"][..]), ("proxied", &["--service"]), ("instance", &[])]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("homeserver.toml");
        let text = toml::to_string(evaluation.settings(scenario)).expect("TOML can say it");
        // The sandbox's directories have to be there, and not every machine has a store.
        let text = text.replace("/nix/store", &directory.path().display().to_string());
        fs::write(&file, &text).expect("a written configuration");
        let check = |more: &[&str]| {
            let mut command = Command::new(find_binary());
            command.args(["config", "check", "--config"]).arg(&file).args(more);
            command.output().expect("the server can be asked")
        };
        let output = check(more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{scenario}: {said}\n{text}");
        fs::write(&file, format!("no_such_key = 1\n{text}")).expect("a written configuration");
        assert!(!check(more).status.success(), "{scenario}: a key that there is not is taken");
    }
}
