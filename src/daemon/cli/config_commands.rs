//! `config check | show | generate`.

use clap::Subcommand;

use super::{ConfigArgument, generate, print};
use crate::{failure::Failure, settings};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Report everything that is wrong with the configuration
    Check(ConfigArgument),
    /// Print the configuration in force, secrets masked
    Show {
        #[command(flatten)]
        config: ConfigArgument,
        /// Say of each value where it comes from
        #[arg(long)]
        origin: bool,
    },
    /// Write a first configuration
    Generate(generate::Generate),
}

pub(super) fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(config) => {
            settings::check(&config.load()?)?;
            print("the configuration is in order")
        }
        ConfigCommand::Show { config, origin } => print(config.load()?.show(origin).trim_end()),
        ConfigCommand::Generate(arguments) => generate::run(&arguments),
    }
}
