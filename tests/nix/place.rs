//! What the package installs besides the program, by running its script where Nix would.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{Failure, evaluate::Evaluation, tree::Tree};

/// Helpers of nixpkgs, as far as the script uses them; the directories of each shell are theirs.
const HELPERS: &str = r#"
set -eu
installManPage() {
    for page; do
        install -D --mode=644 "$page" "$out/share/man/man${page##*.}/${page##*/}"
    done
}
substituteInPlace() {
    test "$2" = --replace-quiet
    sed -i "s|$3|$4|g" "$1"
}
installShellCompletion() {
    test "$1 $2" = "--cmd matrix-homeserver"
    shift 2
    while [ $# -gt 0 ]; do
        mkdir -p "$out/completions"
        cp "$2" "$out/completions/${1#--}"
        shift 2
    done
}
# The program, as far as the script asks it.
mkdir -p "$out/bin"
printf '#!/bin/sh\necho "$@"\n' >"$out/bin/matrix-homeserver"
chmod 755 "$out/bin/matrix-homeserver"
"#;

const IN_FILES: &str = "/usr/bin/matrix-homeserver";

/// The ends of names in `systemd/`, and where such files go.
const PLACES: [(&str, &str, &str); 6] = [
    (".service", "lib/systemd/system/", ".service"),
    (".socket", "lib/systemd/system/", ".socket"),
    (".sysusers", "lib/sysusers.d/", ".conf"),
    (".tmpfiles", "lib/tmpfiles.d/", ".conf"),
    (".catalog", "lib/systemd/catalog/", ".catalog"),
    (".conf", "share/matrix-homeserver/", ".conf"),
];

pub(crate) fn check(tree: &Tree, evaluation: &Evaluation) -> Vec<Failure> {
    let out = tempfile::tempdir().expect("a directory");
    let script = format!("{HELPERS}\n{}", evaluation.text("postInstall"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("out", out.path())
        .current_dir(tree.root())
        .output()
        .expect("bash runs");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return vec![Failure::new("package-can-be-installed", said)];
    }
    let expected = expected(tree);
    let mut found = BTreeSet::new();
    list(out.path(), out.path(), &mut found);
    let mut failures = Vec::new();
    if found != expected {
        let missing: Vec<&String> = expected.difference(&found).collect();
        let more: Vec<&String> = found.difference(&expected).collect();
        let reason = format!("missing: {missing:?}, and not expected: {more:?}");
        failures.push(Failure::new("package-installs-everything", reason));
    }
    for shell in ["bash", "fish", "zsh"] {
        let written = fs::read_to_string(out.path().join("completions").join(shell));
        if written.ok().as_deref() != Some(format!("completions {shell}\n").as_str()) {
            failures.push(Failure::new("package-completes", shell));
        }
    }
    let has_old_path = |name: &&String| {
        fs::read_to_string(out.path().join(name)).is_ok_and(|text| text.contains(IN_FILES))
    };
    if let Some(name) = found.iter().filter(|name| name.starts_with("lib/")).find(has_old_path) {
        failures.push(Failure::new("package-knows-its-program", name));
    }
    failures
}

fn expected(tree: &Tree) -> BTreeSet<String> {
    let mut expected: BTreeSet<String> = [
        "bin/matrix-homeserver",
        "completions/bash",
        "completions/fish",
        "completions/zsh",
        "lib/matrix-homeserver/bin/hash_password",
        "lib/matrix-homeserver/bin/register_new_matrix_user",
        "share/matrix-homeserver/dashboard.json",
        "share/matrix-homeserver/homeserver.toml",
    ]
    .map(str::to_owned)
    .into();
    for name in tree.list("systemd") {
        let place = PLACES.iter().find(|(end, _, _)| name.ends_with(end));
        if let Some((end, directory, new_end)) = place {
            let stem = name.strip_suffix(end).expect("the name ends so");
            expected.insert(format!("{directory}{stem}{new_end}"));
        }
    }
    for page in tree.list("man") {
        let section = page.rsplit('.').next().expect("a section").to_owned();
        expected.insert(format!("share/man/man{section}/{page}"));
    }
    expected
}

fn list(root: &Path, directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            let name = path.strip_prefix(root).expect("it lies below");
            found.insert(name.display().to_string());
        }
    }
}
