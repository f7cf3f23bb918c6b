//! The command line: what can be said, and who does it.

mod ask;
mod check_connection;
mod completions;
mod config_commands;
mod generate;
mod hash_password;
mod health;
mod register_user;
mod registration_token;
mod reload;
mod sandbox_probe;
mod service_user;
mod user;

#[cfg(test)]
mod manual_test;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use config::{Config, Environment, Source};

use crate::failure::Failure;

/// The user and the group of the service, and what its directories begin with.
const SERVICE: &str = "matrix-homeserver";

/// The program.
#[derive(Debug, Parser)]
#[command(name = "matrix-homeserver", version, about = "A Matrix homeserver")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which configuration is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgument {
    /// Read this file, then conf.d/*.toml beside it, instead of the system's configuration
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl ConfigArgument {
    /// Where the configuration comes from.
    pub(crate) fn source(&self) -> Source {
        self.config.clone().map_or(Source::System, Source::File)
    }

    /// Whether another one than the system's is meant.
    fn is_given(&self) -> bool {
        self.config.is_some()
    }

    /// What the service that goes by it finds around it.
    fn environment(&self) -> Environment {
        Environment::of_administrator(&self.source())
    }

    /// Reads it.
    fn load(&self) -> Result<Config, Failure> {
        Ok(config::load(&self.source(), &self.environment())?)
    }

    /// Reads what of it is no secret.
    fn load_public(&self) -> Result<Config, Failure> {
        Ok(config::load_without_secrets(&self.source(), &self.environment())?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(ConfigArgument),
    /// Check, show or generate a configuration
    #[command(subcommand)]
    Config(config_commands::ConfigCommand),
    /// Administrate the users of the running server, over its admin socket
    User(user::UserArguments),
    /// Administrate the registration tokens of the running server, over its admin socket
    RegistrationToken(registration_token::RegistrationTokenArguments),
    /// Try whether the running server can connect to another one
    CheckConnection(check_connection::CheckConnection),
    /// Ask the running server whether it is well
    Health(health::Health),
    /// Have the running server read its configuration again, and tell what came of it
    Reload(reload::Reload),
    /// Run the broker, which connects for a server that has no network
    EgressBroker(EgressBroker),
    /// Resolve names for the server that has started this
    ResolveNames(ResolveNames),
    /// Make a user with the shared secret, over HTTP
    RegisterUser(register_user::RegisterUser),
    /// Print the hash of a password
    HashPassword(hash_password::HashPassword),
    /// Close the server's sandbox and try what it allows
    SandboxProbe(ConfigArgument),
    /// Print what a shell needs to complete this command line
    Completions(completions::Completions),
}

/// The broker's options.
#[derive(Args, Debug)]
struct EgressBroker {
    /// Listen at this unix socket instead of one that the service manager passes
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
}

/// What the server says to the process that resolves names for it.
#[derive(Args, Debug)]
struct ResolveNames {
    /// Whether the process ends where it cannot close its sandbox
    #[arg(long, value_name = "HOW", default_value = "enforce")]
    landlock: crate::resolve_names::Walls,
}

/// The program under Synapse's name for `register-user`.
#[derive(Debug, Parser)]
#[command(name = "register_new_matrix_user", version, about = "Make a user of a Matrix homeserver")]
struct RegisterNewMatrixUser {
    #[command(flatten)]
    arguments: register_user::RegisterUser,
}

/// The program under Synapse's name for `hash-password`.
#[derive(Debug, Parser)]
#[command(name = "hash_password", version, about = "Print the hash of a password")]
struct HashPasswordProgram {
    #[command(flatten)]
    arguments: hash_password::HashPassword,
}

/// Does what the command line says; a wrong one ends the process with status 2 and the usage.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let arguments: Vec<OsString> = arguments.collect();
    match program_name(&arguments).as_str() {
        "register_new_matrix_user" => {
            register_user::run(&RegisterNewMatrixUser::parse_from(arguments).arguments)
        }
        "hash_password" => hash_password::run(HashPasswordProgram::parse_from(arguments).arguments),
        _ => dispatch(Arguments::parse_from(arguments).command),
    }
}

/// The last part of the name that the program was called by.
fn program_name(arguments: &[OsString]) -> String {
    let path = arguments.first().map(PathBuf::from).unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(config) => crate::serve::run(config.source()),
        Command::Config(command) => config_commands::run(command),
        Command::User(arguments) => user::run(arguments),
        Command::RegistrationToken(arguments) => registration_token::run(arguments),
        Command::CheckConnection(arguments) => check_connection::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::EgressBroker(arguments) => {
            crate::egress::run(arguments.config.source(), arguments.socket.as_deref())
        }
        Command::ResolveNames(arguments) => crate::resolve_names::run(arguments.landlock),
        Command::RegisterUser(arguments) => register_user::run(&arguments),
        Command::HashPassword(arguments) => hash_password::run(arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::SandboxProbe(config) => sandbox_probe::run(&config),
    }
}

/// Runs the one request of a command.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}

/// Writes a line for other programs. A reader that went away has seen enough.
pub(crate) fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
