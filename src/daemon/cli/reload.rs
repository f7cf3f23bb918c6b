//! `reload`: has the running server read its configuration again, and tells what of it is in force
//! and what needs a restart. Run by `ExecReload=`, it gives `systemctl reload` its exit status.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArgument, print, user::call};
use crate::{
    admin::protocol::{RELOAD, ReloadVerdict},
    failure::{FAILED, Failure},
    http_client::Place,
};

#[derive(Args, Debug)]
pub(super) struct Reload {
    /// The admin socket; without this the configuration tells
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Reload) -> Result<(), Failure> {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        // One that cannot be read would be refused by the server as well.
        None => arguments.config.load()?.fixed.admin.socket,
    };
    tell(call(&Place::Unix(socket), RELOAD, &())?)
}

fn tell(verdict: ReloadVerdict) -> Result<(), Failure> {
    let ReloadVerdict { refused, applied, waiting } = verdict;
    if !refused.is_empty() {
        let mut lines =
            vec!["the reload was refused; the old configuration is in force".to_owned()];
        lines.extend(refused);
        return Err(Failure { message: lines.join("\n"), status: FAILED });
    }
    print("the configuration was read again")?;
    applied.iter().try_for_each(|text| print(format!("{text} is in force")))?;
    waiting.iter().try_for_each(|text| print(format!("{text} needs a restart")))
}
