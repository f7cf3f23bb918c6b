//! Completions of the command line, as the shells take them.

use std::{io::Write, process::Command, process::Stdio};

use crate::machine::Machine;

fn script(shell: &str) -> String {
    let machine = Machine::new();
    machine.run(&["completions", shell]).ok().to_owned()
}

/// What bash says and does with a script.
fn bash(options: &[&str], script: &str) -> String {
    let mut child = Command::new("bash")
        .args(["--norc", "--noprofile"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

#[test]
fn bash_understands_its_script_and_completes() {
    let script = script("bash");
    assert_eq!(bash(&["-n"], &script), "");
    let complete = |words: &str, current: &str, previous: &str| {
        let count = words.split(' ').count() - 1;
        let asked = format!(
            "{script}\nCOMP_WORDS=({words} \"{current}\")\nCOMP_CWORD={}\n\
             _matrix__homeserver matrix-homeserver \"{current}\" {previous}\n\
             echo \"${{COMPREPLY[@]}}\"\n",
            count + 1
        );
        bash(&[], &asked)
    };
    let program = "matrix-homeserver";
    assert_eq!(complete(program, "ser", program), "serve");
    assert_eq!(complete(program, "rel", program), "reload");
    assert_eq!(complete("matrix-homeserver config", "ch", "config"), "check");
    assert_eq!(complete("matrix-homeserver user create", "--adm", "create"), "--admin");
    assert_eq!(complete("matrix-homeserver completions", "fi", "completions"), "fish");
}

#[test]
fn every_shell_has_its_script() {
    let fish = script("fish");
    assert!(fish.contains("complete -c matrix-homeserver"), "{fish}");
    assert!(script("zsh").starts_with("#compdef matrix-homeserver\n"));
    for script in [fish, script("zsh"), script("bash")] {
        for word in ["serve", "check-connection", "reload", "egress-broker", "reset-password"] {
            assert!(script.contains(word), "{word}\n{script}");
        }
    }
    assert_eq!(Machine::new().run(&["completions", "ksh"]).status, Some(2));
}
