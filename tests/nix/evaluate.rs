//! One run of Nix over a tree, and what came out.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use serde_json::Value;

use crate::{
    Failure,
    tree::Tree,
    unit::{Directives, from_options},
};

/// The environment variable that names a real library of nixpkgs.
const LIBRARY: &str = "NIXPKGS_LIB";

/// What is evaluated. The paths are strings: Nix would copy what is a path into a store.
const EXPRESSION: &str = "{ library, root }: import (root + \"/tests/nix/checks.nix\") { \
    lib = import library; inherit root; }";

/// What `checks.nix` came to.
pub(crate) struct Evaluation(Value);

impl Evaluation {
    /// Evaluates the tree.
    pub(crate) fn of(tree: &Tree) -> Result<Self, String> {
        instantiate(tree, &[]).map(Self)
    }

    /// The checks that `checks.nix` has.
    pub(crate) fn check_names(&self) -> impl Iterator<Item = &str> {
        self.0["checks"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Whether this check of `checks.nix` fails, by itself: Nix ends a whole evaluation at the first
    /// thing that is not there.
    pub(crate) fn check_fails(tree: &Tree, name: &str) -> bool {
        let check = instantiate(tree, &["--attr", &format!("checks.{name}")]);
        check.map_or(true, |check| fails(&check))
    }

    /// Something that `checks.nix` hands on as text.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_else(|| panic!("{key} is no text"))
    }

    /// The checks that Nix has what they need for.
    pub(crate) fn failed_checks(&self) -> Vec<Failure> {
        let checks = self.0["checks"].as_object().expect("the checks");
        assert!(checks.len() > 60, "there are {} checks only", checks.len());
        let failed = |(name, check): (&String, &Value)| {
            let reason =
                || format!("expected {}, and it is {}", check["expected"], check["actual"]);
            fails(check).then(|| Failure::new(name, reason()))
        };
        checks.iter().filter_map(failed).collect()
    }

    /// The users, with what is said of each.
    pub(crate) fn users(&self) -> &serde_json::Map<String, Value> {
        self.0["users"].as_object().expect("the users")
    }

    /// The keys of the configuration that a restart alone puts in force, with their sections.
    pub(crate) fn fixed_keys(&self) -> BTreeSet<String> {
        let words = |path: &Value| {
            let words = path.as_array().into_iter().flatten().filter_map(Value::as_str);
            words.collect::<Vec<_>>().join(".")
        };
        self.0["fixedKeys"].as_array().into_iter().flatten().map(words).collect()
    }

    /// The lines for systemd-tmpfiles.
    pub(crate) fn tmpfiles(&self) -> Vec<&str> {
        self.0["tmpfiles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The configuration of one scenario.
    pub(crate) fn settings(&self, scenario: &str) -> &Value {
        let settings = &self.0["settings"][scenario];
        assert!(settings.is_object(), "there are no settings for {scenario}");
        settings
    }

    /// The units of one scenario, by file name.
    pub(crate) fn units(&self, scenario: &str) -> BTreeMap<String, Directives> {
        let mut units = BTreeMap::new();
        for (kind, suffix) in [("services", "service"), ("sockets", "socket")] {
            let found = self.0["units"][scenario][kind].as_object().expect("units");
            for (name, options) in found {
                units.insert(format!("{name}.{suffix}"), from_options(options));
            }
        }
        units
    }
}

/// The order in which NixOS puts lists of several modules together means nothing.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        other => other.clone(),
    }
}

fn fails(check: &Value) -> bool {
    sorted(&check["expected"]) != sorted(&check["actual"])
}

/// Runs Nix over the tree, without a store.
fn instantiate(tree: &Tree, more: &[&str]) -> Result<Value, String> {
    let ours = || tree.path("tests/nix/lib").display().to_string();
    let library = env::var(LIBRARY).unwrap_or_else(|_| ours());
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--expr", EXPRESSION])
        .args(["--argstr", "library", &library])
        .arg("--argstr")
        .arg("root")
        .arg(tree.root())
        .args(more)
        .env("NIX_REMOTE", "dummy://")
        .output()
        .unwrap_or_else(|error| panic!("cannot run nix-instantiate ({error}): run tests/install"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(said);
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
