//! `registration-token …`: who holds one may register where the configuration asks for it. Commands
//! to the running server over its admin socket.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use super::{ConfigArgument, print, user::call};
use crate::{
    admin::protocol::{
        CREATE_TOKEN, CreateToken, LIST_TOKENS, ListTokens, ListedToken, REMOVE_TOKEN, RemoveToken,
        Tokens,
    },
    failure::Failure,
    http_client::Place,
};

const HOUR_MS: u64 = 3_600_000;

/// The most hours that a token is made for: a hundred years.
const HOURS_MAX: u64 = 100 * 365 * 24;

#[derive(Args, Debug)]
pub(super) struct RegistrationTokenArguments {
    /// The admin socket; without this the configuration tells
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a registration token and print it
    Create {
        /// The token; without this a random one is made
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        token: Option<String>,
        /// How many accounts can be made with it; without this any number
        #[arg(long, value_name = "COUNT", value_parser = value_parser!(u64).range(1..))]
        uses: Option<u64>,
        /// For how long it is good; without this for ever
        #[arg(long, value_name = "HOURS", value_parser = value_parser!(u64).range(1..=HOURS_MAX))]
        hours: Option<u64>,
    },
    /// List registration tokens
    List,
    /// Remove a registration token; accounts that were made with it stay
    Remove {
        /// The token
        // A random one may begin with a hyphen.
        #[arg(allow_hyphen_values = true)]
        token: String,
    },
}

pub(super) fn run(arguments: RegistrationTokenArguments) -> Result<(), Failure> {
    let socket = match arguments.socket {
        Some(socket) => socket,
        None => arguments.config.load_public()?.fixed.admin.socket,
    };
    let place = Place::Unix(socket);
    match arguments.command {
        TokenCommand::Create { token, uses, hours } => {
            let lifetime_ms = hours.map(|hours| hours * HOUR_MS);
            let request = CreateToken { token, uses, lifetime_ms };
            let made: ListedToken = call(&place, CREATE_TOKEN, &request)?;
            print(made.token)
        }
        TokenCommand::List => {
            let listed: Tokens = call(&place, LIST_TOKENS, &ListTokens {})?;
            listed.tokens.iter().try_for_each(|token| print(line(token)))
        }
        TokenCommand::Remove { token } => {
            let removed: RemoveToken = call(&place, REMOVE_TOKEN, &RemoveToken { token })?;
            print(format!("{} was removed", removed.token))
        }
    }
}

/// The token, how often it was used of how often it may be, and for how long it is good, with tabs
/// between.
fn line(token: &ListedToken) -> String {
    let uses = token.uses.map_or("-".to_owned(), |uses| uses.to_string());
    let good = match token.expires_in_ms {
        _ if !token.is_valid => "invalid".to_owned(),
        None => "valid".to_owned(),
        Some(left_ms) => format!("valid for {} h", left_ms.div_ceil(HOUR_MS)),
    };
    format!("{}\t{}/{uses}\t{good}", token.token, token.used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_token() {
        let mut token = ListedToken {
            token: "abc".to_owned(),
            uses: None,
            used: 0,
            expires_in_ms: None,
            is_valid: true,
        };
        assert_eq!(line(&token), "abc\t0/-\tvalid");
        (token.uses, token.used, token.expires_in_ms) = (Some(3), 1, Some(3_600_001));
        assert_eq!(line(&token), "abc\t1/3\tvalid for 2 h");
        token.is_valid = false;
        assert_eq!(line(&token), "abc\t1/3\tinvalid");
    }
}
