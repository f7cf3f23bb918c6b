//! The manual against the command line: the same commands, and the same options of each.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Command, CommandFactory};

use super::Arguments;

type Options = BTreeMap<String, BTreeSet<String>>;

/// The commands that do something, each with its long options.
fn commands(command: &Command, path: &str, found: &mut Options) {
    let below: Vec<&Command> =
        command.get_subcommands().filter(|command| command.get_name() != "help").collect();
    for command in &below {
        commands(command, format!("{path} {}", command.get_name()).trim(), found);
    }
    if below.is_empty() {
        let options = command.get_arguments().filter_map(|argument| argument.get_long());
        let options = options.filter(|name| !["help", "version"].contains(name));
        found.insert(path.to_owned(), options.map(str::to_owned).collect());
    }
}

/// The commands of the manual: a subsection each, with its options as tags.
fn described(manual: &str) -> Options {
    let mut found = Options::new();
    let mut command = None;
    for line in manual.lines() {
        let line = line.replace("\\-", "-");
        if let Some(name) = line.strip_prefix(".SS ") {
            found.insert(name.to_owned(), BTreeSet::new());
            command = Some(name.to_owned());
        } else if line.starts_with(".SH ") {
            command = None;
        } else if let Some(option) = line.strip_prefix(".B --")
            && let Some(options) = command.as_ref().and_then(|command| found.get_mut(command))
        {
            options.insert(option.to_owned());
        }
    }
    found
}

#[test]
fn the_manual_has_every_command_and_option_and_no_other() {
    let mut program = Arguments::command();
    program.build();
    let mut found = Options::new();
    commands(&program, "", &mut found);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/matrix-homeserver.1");
    assert_eq!(described(&std::fs::read_to_string(path).unwrap()), found);
}

fn manual(name: &str) -> String {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man");
    std::fs::read_to_string(format!("{directory}/{name}")).unwrap().replace("\\-", "-")
}

#[test]
fn the_synopsis_has_every_command_and_no_other() {
    let manual = manual("matrix-homeserver.1");
    let synopsis = manual.split_once(".SH SYNOPSIS\n").unwrap().1.split(".SH ").next().unwrap();
    let told = synopsis.lines().filter_map(|line| line.strip_prefix(".B matrix-homeserver "));
    let program = Arguments::command();
    let there = program.get_subcommands().map(Command::get_name);
    assert_eq!(told.collect::<BTreeSet<_>>(), there.collect());
}

#[test]
fn what_the_manuals_show_can_be_said() {
    use clap::Parser;
    let mut count = 0;
    for name in ["1", "7", "8"] {
        let manual = manual(&format!("matrix-homeserver.{name}"));
        let shown = manual.split("\n.nf\n").skip(1).filter_map(|rest| rest.split(".fi\n").next());
        for line in shown.flat_map(str::lines) {
            let words = || line.split(' ').filter(|word| !word.is_empty());
            let parsed = match words().next() {
                Some("matrix-homeserver") => Arguments::try_parse_from(words()).map(|_| ()),
                Some("register_new_matrix_user") => {
                    super::RegisterNewMatrixUser::try_parse_from(words()).map(|_| ())
                }
                _ => continue,
            };
            parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
            count += 1;
        }
    }
    assert!(count > 4, "{count}");
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
    super::RegisterNewMatrixUser::command().debug_assert();
    super::HashPasswordProgram::command().debug_assert();
}

/// Random tokens and passwords may begin with a hyphen.
#[test]
fn what_was_drawn_by_lot_is_no_option() {
    use clap::Parser;
    for line in [
        "matrix-homeserver registration-token remove -Ab-1 -c x.toml",
        "matrix-homeserver registration-token remove -c x.toml --socket s -Ab-1",
        "matrix-homeserver registration-token create --token -Ab-1 --uses 3",
        "matrix-homeserver hash-password -p -Ab-1",
    ] {
        let parsed = Arguments::try_parse_from(line.split(' ')).map(|it| format!("{it:?}"));
        let parsed = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(parsed.contains("\"-Ab-1\""), "{line}: {parsed}");
    }
}

#[test]
fn synapses_options_are_understood() {
    use clap::Parser;
    let parse =
        |line: &str| super::RegisterNewMatrixUser::try_parse_from(line.split(' ')).map(|_| ());
    for line in [
        "register_new_matrix_user -u a -p b -a -k s http://localhost:8008",
        "register_new_matrix_user --user a --password b --no-admin -c /etc/x.toml",
        "register_new_matrix_user -u a -p -b-1 -k -s --no-admin http://h",
        "register_new_matrix_user -u a --password-file f -t bot --exists-ok -c x http://h",
        "register_new_matrix_user",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
    for line in [
        "register_new_matrix_user -a --no-admin",
        "register_new_matrix_user -k s -c x",
        "register_new_matrix_user -p b --password-file f",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
