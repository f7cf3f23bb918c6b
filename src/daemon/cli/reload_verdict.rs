//! `reload-verdict`: has the running server read its configuration again and tells what came of it.
//! Run by `ExecReload=`, it gives `systemctl reload` its exit status.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArgument, print, user::call};
use crate::{
    admin::protocol::{RELOAD_VERDICT, ReloadVerdict as Verdict},
    failure::{FAILED, Failure},
    http_client::Place,
};

#[derive(Args, Debug)]
pub(super) struct ReloadVerdict {
    /// The admin socket; without this the configuration tells
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &ReloadVerdict) -> Result<(), Failure> {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        // One that cannot be read was refused by the server as well.
        None => arguments.config.load()?.fixed.admin.socket,
    };
    let verdict: Verdict = call(&Place::Unix(socket), RELOAD_VERDICT, &())?;
    if !verdict.refused.is_empty() {
        let mut lines =
            vec!["the reload was refused; the old configuration is in force".to_owned()];
        lines.extend(verdict.refused);
        return Err(Failure { message: lines.join("\n"), status: FAILED });
    }
    print("the reload was applied")?;
    verdict.waiting.iter().try_for_each(|path| print(format!("{path} needs a restart")))
}
