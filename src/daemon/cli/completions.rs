//! `completions`: what a shell needs to complete this program's command line.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};

use super::{Arguments, print};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL")]
    shell: Completed,
}

/// Shells that the package installs completions for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Completed {
    Bash,
    Fish,
    Zsh,
}

impl Completions {
    /// The script.
    fn script(&self) -> String {
        let shell = match self.shell {
            Completed::Bash => Shell::Bash,
            Completed::Fish => Shell::Fish,
            Completed::Zsh => Shell::Zsh,
        };
        let mut script = Vec::new();
        let mut program = Arguments::command();
        let name = program.get_name().to_owned();
        generate(shell, &mut program, name, &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        match self.shell {
            // The library spells a hyphen in the program's name in two ways, so that what it has
            // noted of a command's beginning is not what it looks for.
            Completed::Bash => script.replace("matrix__subcmd__homeserver", "matrix__homeserver"),
            Completed::Fish | Completed::Zsh => script,
        }
    }
}

pub(super) fn run(arguments: &Completions) -> Result<(), Failure> {
    print(arguments.script().trim_end())
}
