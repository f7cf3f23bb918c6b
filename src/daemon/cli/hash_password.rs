//! `hash-password`: the hash of a password as the server stores it, for whoever puts accounts in by
//! other ways.

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use super::{ask, block_on, print};
use crate::{failure::Failure, system::SystemRandom};

#[derive(Args, Debug)]
pub(super) struct HashPassword {
    /// The password; without this it is asked for, or read from standard input
    #[arg(short, long, value_name = "PASSWORD", allow_hyphen_values = true)]
    password: Option<String>,
    /// Read the password from this file
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
}

pub(super) fn run(arguments: HashPassword) -> Result<(), Failure> {
    let password = match arguments.password {
        Some(password) if password.is_empty() => {
            return Err(Failure::new("the password must not be empty"));
        }
        Some(password) => password,
        None => ask::password(arguments.password_file.as_deref())?,
    };
    let passwords = user::Passwords::new(1, Arc::new(SystemRandom));
    let hash = block_on(async { passwords.hash(password).await.map_err(Failure::new) })?;
    print(hash)
}
