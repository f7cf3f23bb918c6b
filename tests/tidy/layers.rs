//! The layers: which crate may know which. An upward import does not compile because its edge
//! stands in no manifest; that it stands in none is checked here.

use std::{collections::BTreeMap, fs, path::Path};

use toml::{Table, Value};

use crate::{Offence, sources::root};

/// Directory of a member and the directories of the members that it may depend on, lowest first.
/// `None`: on all.
type Layer = (&'static str, Option<&'static [&'static str]>);

const PROTO: &str = "src/proto";
const HTTP: &str = "src/http";
const STORE: &str = "src/store";
const MAIL: &str = "src/mail";
const ROOM: &str = "src/room";
const USER: &str = "src/user";
const MEDIA: &str = "src/media";
const FEDERATION: &str = "src/federation";
const SYNC: &str = "src/sync";

const LAYERS: &[Layer] = &[
    (PROTO, Some(&[])),
    (HTTP, Some(&[])),
    ("src/config", Some(&[PROTO])),
    (STORE, Some(&[PROTO])),
    (MAIL, Some(&[HTTP])),
    (ROOM, Some(&[PROTO, STORE])),
    (MEDIA, Some(&[PROTO, STORE, HTTP])),
    (USER, Some(&[PROTO, STORE, ROOM, MAIL])),
    (FEDERATION, Some(&[PROTO, STORE, HTTP, MAIL, ROOM, USER, MEDIA])),
    (SYNC, Some(&[PROTO, STORE, ROOM, USER])),
    ("src/api/client", Some(&[PROTO, HTTP, STORE, MAIL, ROOM, USER, MEDIA, FEDERATION, SYNC])),
    ("src/api/server", Some(&[PROTO, HTTP, STORE, MAIL, ROOM, USER, MEDIA, FEDERATION])),
    ("src/daemon", None),
    ("tests", None),
];

/// Databases are spoken to by the store alone.
const DATABASE_CRATES: [&str; 5] =
    ["rusqlite", "libsqlite3-sys", "tokio-postgres", "postgres", "deadpool-postgres"];

/// The manifests of the workspace: the root's, and each member's by its directory.
struct Manifests {
    root: Table,
    members: BTreeMap<String, Table>,
}

/// Reads all manifests and checks them.
pub(crate) fn check(root: &Path) -> Vec<Offence> {
    let read = |path: &str| {
        let text = fs::read_to_string(root.join(path))
            .unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
        text.parse::<Table>().unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let workspace = read("Cargo.toml");
    let members = members_of(&workspace)
        .into_iter()
        .map(|member| {
            let manifest = read(&format!("{member}/Cargo.toml"));
            (member, manifest)
        })
        .collect();
    check_manifests(&Manifests { root: workspace, members })
}

fn members_of(workspace: &Table) -> Vec<String> {
    let members = workspace["workspace"]["members"].as_array().expect("members are an array");
    members.iter().map(|member| member.as_str().expect("members are texts").to_owned()).collect()
}

fn check_manifests(manifests: &Manifests) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (member, manifest) in &manifests.members {
        let mut offend = |reason: String| {
            let path = format!("{member}/Cargo.toml");
            offences.push(Offence { path, line: 0, reason });
        };
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == member) else {
            offend("this crate has no place among the layers".to_owned());
            continue;
        };
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints != Some(&Value::Boolean(true)) {
            offend("the workspace's lints are not in force".to_owned());
        }
        for (name, value) in dependencies(manifest) {
            let target = directory_of(manifests, member, name, value);
            let is_known = target.as_ref().is_none_or(|target| {
                target == member || allowed.is_none_or(|allowed| allowed.contains(&target.as_str()))
            });
            if !is_known {
                offend(format!("{member} may not know {}", target.unwrap_or_default()));
            }
            let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
            if DATABASE_CRATES.contains(&package) && member != STORE {
                offend(format!("{package}: only {STORE} speaks to databases"));
            }
        }
    }
    offences
}

/// All dependencies of whatever kind and target.
fn dependencies(manifest: &Table) -> Vec<(&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = std::iter::once(manifest).chain(
        targets.into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table)),
    );
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            found.extend(table.get(kind).and_then(Value::as_table).into_iter().flatten());
        }
    }
    found
}

/// The directory of a dependency from the root; `None` for one that is not ours.
fn directory_of(manifests: &Manifests, member: &str, name: &str, value: &Value) -> Option<String> {
    if let Some(path) = value.get("path").and_then(Value::as_str) {
        return Some(normal(&format!("{member}/{path}")));
    }
    value.get("workspace")?;
    let shared = manifests.root.get("workspace")?.get("dependencies")?.get(name)?;
    Some(normal(shared.get("path")?.as_str()?))
}

/// The path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_member_is_read() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = members_of(&text.parse().unwrap());
    assert!(members.contains(&"src/daemon".to_owned()), "{members:?}");
}

/// What a workspace says in which `member` has this manifest.
fn reasons(member: &str, manifest: &str) -> Vec<String> {
    let root = "[workspace.dependencies]\n\
                proto = { path = \"src/proto\" }\nroom = { path = \"src/room\" }\n\
                store = { path = \"src/store\" }\nserde = \"1\"\n";
    let manifests = Manifests {
        root: root.parse().unwrap(),
        members: [(member.to_owned(), manifest.parse().unwrap())].into(),
    };
    check_manifests(&manifests).into_iter().map(|offence| offence.reason).collect()
}

#[test]
fn a_wrong_edge_is_found() {
    let lints = "[lints]\nworkspace = true\n";
    let fine = format!("[dependencies]\nproto.workspace = true\nserde.workspace = true\n{lints}");
    assert!(reasons("src/store", &fine).is_empty());
    for edge in [
        "[dependencies]\nroom.workspace = true\n",
        "[dependencies]\nroom = { workspace = true }\n",
        "[dev-dependencies]\nroom.workspace = true\n",
        "[build-dependencies]\nother = { path = \"../room\", package = \"homeserver-room\" }\n",
        "[target.'cfg(unix)'.dependencies]\nother = { path = \"./../room/\" }\n",
    ] {
        let found = reasons("src/store", &format!("{edge}{lints}"));
        assert_eq!(found, ["src/store may not know src/room"], "{edge}");
    }
    let all = format!("[dependencies]\nroom.workspace = true\nstore.workspace = true\n{lints}");
    assert!(reasons("src/daemon", &all).is_empty());
    assert_eq!(reasons("src/http", &fine), ["src/http may not know src/proto"]);
}

#[test]
fn an_unknown_crate_and_missing_lints_are_found() {
    assert_eq!(reasons("src/other", ""), ["this crate has no place among the layers"]);
    assert_eq!(reasons("src/proto", ""), ["the workspace's lints are not in force"]);
}

#[test]
fn a_database_outside_the_store_is_found() {
    let lints = "[lints]\nworkspace = true\n";
    for entry in ["rusqlite.workspace = true", "sql = { version = \"1\", package = \"rusqlite\" }"]
    {
        let manifest = format!("[dependencies]\n{entry}\n{lints}");
        assert_eq!(
            reasons("src/daemon", &manifest),
            ["rusqlite: only src/store speaks to databases"]
        );
        assert!(reasons("src/store", &manifest).is_empty());
    }
}
