//! The Debian package: what is in it, and what it does in a booted Debian. Takes root, mmdebstrap and systemd-nspawn;
//! the scripts beside this file do the work, and say what is missing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tests::harness::find_binary;

/// The longest that one script may take, on a busy machine that has its Debian trees yet to make.
const SCRIPT_TIMEOUT: &str = "1500";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs one of the scripts with the built server; what it says is shown when it fails.
fn run(script: &str) {
    let output = Command::new("timeout")
        .args(["--kill-after=10", SCRIPT_TIMEOUT])
        .arg(root().join("tests/package").join(script))
        .arg(find_binary())
        .stdin(Stdio::null())
        .output()
        .expect("timeout is part of every Debian");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{said}\n{complained}", output.status);
    println!("{said}");
}

#[test]
fn the_installed_package_does_what_it_should() {
    run("run");
}

#[test]
fn the_package_is_the_same_twice_and_lintian_is_silent() {
    run("check");
}

/// The names of the crates that come from a registry.
fn crates() -> BTreeSet<String> {
    let lock: toml::Table = read("Cargo.lock").parse().expect("cargo writes TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    let foreign = packages.iter().filter(|package| package.get("source").is_some());
    foreign.map(|package| package["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_copyright_names_every_crate() {
    let copyright = read("debian/copyright");
    let named: BTreeSet<String> = copyright
        .lines()
        .filter_map(|line| line.strip_prefix(" vendor/")?.strip_suffix(".*/*"))
        .filter_map(|crate_and_major| Some(crate_and_major.rsplit_once('-')?.0.to_owned()))
        .collect();
    let crates = crates();
    assert!(crates.len() > 100, "{} crates only", crates.len());
    let differing: Vec<&String> = named.symmetric_difference(&crates).collect();
    assert!(differing.is_empty(), "run debian/copyright.update: {differing:?}");
}

#[test]
fn units_of_instances_are_made_from_the_plain_ones() {
    for kind in ["service", "socket"] {
        let plain = format!("systemd/matrix-homeserver.{kind}");
        let script = root().join("systemd/render-instances");
        let output = Command::new(script).arg(root().join(&plain)).output().expect("it runs");
        assert!(output.status.success(), "{}", output.status);
        let rendered = String::from_utf8(output.stdout).expect("text");
        let kept = read(&format!("systemd/matrix-homeserver@.{kind}"));
        assert_eq!(rendered, kept, "run systemd/render-instances {plain}");
    }
}

/// What systemd 252 would take for something else, or would not take.
#[test]
fn units_for_systemd_252_have_nothing_newer() {
    let target = tempfile::tempdir().expect("a temporary directory");
    let script = root().join("systemd/render-252");
    let status = Command::new(script).arg(root().join("systemd")).arg(target.path()).status();
    assert!(status.expect("it runs").success());
    let mut services = 0;
    for entry in fs::read_dir(target.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let unit = fs::read_to_string(&path).expect("text");
        let newer = ["notify-reload", "RestartSteps", "RestartMaxDelaySec", "ImportCredential"]
            .into_iter()
            .chain(["ProtectControlGroups=strict", "@sandbox", "PrivatePIDs", "BindLogSockets"]);
        for word in newer {
            assert!(!unit.contains(word), "{}: {word}", path.display());
        }
        if unit.contains("\nType=notify\n") {
            assert!(unit.contains("\nExecReload="), "{}", path.display());
            assert!(unit.contains(" landlock_restrict_self"), "{}", path.display());
            services += 1;
            let is_broker = path.ends_with("matrix-homeserver-egress.service");
            for name in ["registration-shared-secret", "tls-certificate", "tls-key"] {
                let line = format!("\nLoadCredential=matrix-homeserver.{name}");
                assert_eq!(unit.contains(&line), !is_broker, "{}: {name}", path.display());
            }
        }
    }
    assert_eq!(services, 3, "the server, its instances and the broker");
}
