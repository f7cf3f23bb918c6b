//! `user …`: commands to the running server over its admin socket.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::{ConfigArgument, ask, block_on, print};
use crate::{
    admin::protocol::{
        CREATE, CreateUser, DEACTIVATE, DeactivateUser, Done, LIST, ListUsers, ListedUser,
        RESET_PASSWORD, ResetPassword, SET_ADMIN, SetAdmin, Users,
    },
    failure::Failure,
    http_client::{self, Place},
};

#[derive(Args, Debug)]
pub(super) struct UserArguments {
    /// The admin socket; without this the configuration tells
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user
    Create {
        /// The user's name, the part of the user id between @ and colon
        user: String,
        /// Make the user an administrator of the server
        #[arg(long)]
        admin: bool,
        /// The display name; without this it is the user's name
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// Read the password from this file; else it is asked for, or read from standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List users
    List {
        /// Only those with this in their name or display name
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Deactivated ones, too
        #[arg(long)]
        deactivated: bool,
        /// Guests, too
        #[arg(long)]
        guests: bool,
    },
    /// Deactivate a user for good: no log-in, out of all rooms
    Deactivate {
        /// The user, by name or whole id
        user: String,
        /// Hide the user's messages from whoever joins later
        #[arg(long)]
        erase: bool,
    },
    /// Give a user a new password and end all sessions
    ResetPassword {
        /// The user, by name or whole id
        user: String,
        /// Let the user's sessions go on
        #[arg(long)]
        keep_sessions: bool,
        /// Read the password from this file; else it is asked for, or read from standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Make a user an administrator of the server
    SetAdmin {
        /// The user, by name or whole id
        user: String,
        /// Take it away instead
        #[arg(long)]
        revoke: bool,
    },
}

pub(super) fn run(arguments: UserArguments) -> Result<(), Failure> {
    let socket = match arguments.socket {
        Some(socket) => socket,
        None => arguments.config.load_public()?.fixed.admin.socket,
    };
    let place = Place::Unix(socket);
    match arguments.command {
        UserCommand::Create { user, admin, display_name, password_file } => {
            let password = ask::password(password_file.as_deref())?;
            let request = CreateUser { user, password, admin, display_name };
            report(&call(&place, CREATE, &request)?, "was made")
        }
        UserCommand::List { search, deactivated, guests } => {
            list(&place, ListUsers { search, deactivated, guests, after: None })
        }
        UserCommand::Deactivate { user, erase } => {
            let request = DeactivateUser { user, erase };
            report(&call(&place, DEACTIVATE, &request)?, "is deactivated")
        }
        UserCommand::ResetPassword { user, keep_sessions, password_file } => {
            let password = ask::password(password_file.as_deref())?;
            let request = ResetPassword { user, password, logout: !keep_sessions };
            report(&call(&place, RESET_PASSWORD, &request)?, "has the new password")
        }
        UserCommand::SetAdmin { user, revoke } => {
            let request = SetAdmin { user, admin: !revoke };
            let done = call(&place, SET_ADMIN, &request)?;
            report(&done, if revoke { "is no administrator" } else { "is an administrator" })
        }
    }
}

fn report(done: &Done, what: &str) -> Result<(), Failure> {
    print(format!("{} {what}", done.user_id))
}

fn list(place: &Place, mut request: ListUsers) -> Result<(), Failure> {
    loop {
        let page: Users = call(place, LIST, &request)?;
        for user in &page.users {
            print(line(user))?;
        }
        let Some(next) = page.next else { return Ok(()) };
        request.after = Some(next);
    }
}

/// User id, what is special about it, display name, with tabs between.
fn line(user: &ListedUser) -> String {
    let marks = [(user.admin, "admin"), (user.guest, "guest"), (user.deactivated, "deactivated")];
    let marks: Vec<_> = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    let marks = if marks.is_empty() { "-".to_owned() } else { marks.join(",") };
    // A name may hold anything, but a line is one user's.
    let name = user.display_name.as_deref().unwrap_or_default().replace(char::is_control, " ");
    format!("{}\t{marks}\t{name}", user.user_id)
}

/// Sends a command to the running server.
pub(super) fn call<T: DeserializeOwned>(
    place: &Place,
    path: &str,
    request: &impl Serialize,
) -> Result<T, Failure> {
    block_on(async {
        let body = serde_json::to_value(request).map_err(Failure::new)?;
        let sent = http_client::send(place, Method::POST, path, Some(&body)).await;
        let answer = sent.map_err(Failure::new)?;
        if !answer.status.is_success() {
            let reason = answer.body["error"].as_str().unwrap_or("the server gave no reason");
            return Err(Failure::new(reason));
        }
        serde_json::from_value(answer.body)
            .map_err(|error| Failure::new(format!("the server's answer is strange: {error}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_user() {
        let mut user = ListedUser {
            user_id: "@a:b".to_owned(),
            display_name: Some("A\nB".to_owned()),
            admin: false,
            guest: false,
            deactivated: false,
        };
        assert_eq!(line(&user), "@a:b\t-\tA B");
        user.admin = true;
        user.deactivated = true;
        assert_eq!(line(&user), "@a:b\tadmin,deactivated\tA B");
    }
}
