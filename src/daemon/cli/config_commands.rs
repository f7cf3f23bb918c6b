//! `config check | show | generate`.

use std::path::PathBuf;

use clap::Subcommand;
use config::{Config, Environment};

use super::{ConfigArgument, generate, print, service_user::unreadable};
use crate::{
    failure::{BAD_CONFIGURATION, Failure},
    settings,
};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Report everything that is wrong with the configuration
    Check {
        #[command(flatten)]
        config: ConfigArgument,
        /// Judge it as the service that has no network and connects through the broker
        #[arg(long)]
        service: bool,
    },
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
        ConfigCommand::Check { config, service } => {
            let mut environment = config.environment();
            if service {
                environment.broker.get_or_insert_with(|| config::BROKER_SOCKET.into());
            }
            let config = config::load(&config.source(), &environment)?;
            settings::check(&config)?;
            if service {
                refuse_unreadable(&config, &environment)?;
            }
            for file in config.encrypted() {
                let file = file.display();
                eprintln!(
                    "matrix-homeserver: {file} is encrypted, what it holds was not looked at"
                );
            }
            print("the configuration is in order")
        }
        ConfigCommand::Show { config, origin } => {
            print(config.load_public()?.show(origin).trim_end())
        }
        ConfigCommand::Generate(arguments) => generate::run(&arguments),
    }
}

/// Refuses files that root can read and the service cannot. Credentials are given to it.
fn refuse_unreadable(config: &Config, environment: &Environment) -> Result<(), Failure> {
    let certificates = config.listeners.list.iter().filter_map(|listener| listener.tls.as_ref());
    let certificates = certificates.flat_map(|tls| [&tls.certificate, &tls.private_key]);
    let is_given = |file: &&PathBuf| environment.credentials.has(file);
    let files: Vec<PathBuf> =
        config.files().iter().chain(certificates).filter(|file| !is_given(file)).cloned().collect();
    let lines = unreadable(&files)?;
    if lines.is_empty() {
        return Ok(());
    }
    Err(Failure { message: lines.join("\n"), status: BAD_CONFIGURATION })
}
