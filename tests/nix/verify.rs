//! The evaluated units as text before `systemd-analyze verify`, which has to be silent but for what an older systemd than
//! the one that the units are for does not know.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::unit::Directives;

/// What systemd 252 says of directives and values that came later. systemd 257 says none of this.
const NEWER: [&str; 5] = [
    "Unknown key 'ImportCredential' in section [Service], ignoring.",
    "Unknown key 'RestartMaxDelaySec' in section [Service], ignoring.",
    "Unknown key 'RestartSteps' in section [Service], ignoring.",
    "Failed to parse boolean value, ignoring: strict",
    "Unknown system call group, ignoring: @sandbox",
];

/// Stands in for programs that are not built: there has to be something to start.
const PROGRAM: &str = "/bin/true";

fn verify(units: &BTreeMap<String, Directives>, directory: &Path) -> Vec<String> {
    for (name, unit) in units {
        let mut unit = with_program(unit);
        if name == "postgresql-setup.service" {
            unit = unit.read(SETUP);
        }
        fs::write(directory.join(name), unit.text()).expect("a written unit");
    }
    // Units of NixOS that are not here.
    for name in ["postgresql.target", "postgresql.service"] {
        let nothing = "[Unit]\nDescription=PostgreSQL\n[Service]\nExecStart=/bin/true\n";
        let text = if name.ends_with(".service") { nothing } else { "[Unit]\n" };
        fs::write(directory.join(name), text).expect("a written unit");
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=one"])
        .args(units.keys().map(|name| directory.join(name)))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", directory.display()))
        .output()
        .expect("systemd-analyze runs: run tests/install");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_known = |line: &str| NEWER.iter().any(|known| line.ends_with(known));
    said.lines().filter(|line| !is_known(line)).map(str::to_owned).collect()
}

/// What NixOS says of a unit that the module says only a part of.
const SETUP: &str = "[Service]\nType=oneshot\nExecStart=/bin/true\n";

fn with_program(unit: &Directives) -> Directives {
    let program = |value: &String| value.split(' ').next().map(str::to_owned);
    let programs = ["ExecStart", "ExecStartPost"]
        .iter()
        .flat_map(|key| unit.get("Service", key))
        .filter_map(program);
    programs.fold(unit.clone(), |unit, program| unit.replaced(&program, PROGRAM))
}

pub(crate) fn assert_silent(scenario: &str, units: &BTreeMap<String, Directives>) {
    let directory = tempfile::tempdir().expect("a directory");
    let said = verify(units, directory.path());
    assert!(said.is_empty(), "systemd says of {scenario}:\n{}", said.join("\n"));
}

#[test]
fn a_mistake_in_a_unit_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "[Unit]\nRequires=matrix-homeserver-none.socket\n[Service]\nExecStart=/bin/true\nUMask=many\n";
    let unit = Directives::default().read(text);
    let units = BTreeMap::from([("matrix-homeserver.service".to_owned(), unit)]);
    let said = verify(&units, directory.path()).join("\n");
    assert!(said.contains("UMask") || said.contains("many"), "{said}");
}
