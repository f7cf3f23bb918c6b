//! `reload`: has the running server read its configuration again, and tells what of it is in force
//! and what needs a restart.
//!
//! By hand it asks over the admin socket. Run by `ExecReload=` it goes by what the service manager
//! says of the process, see [`crate::verdict`], and gives `systemctl reload` its exit status.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArgument, print, user::call};
use crate::{
    admin::protocol::{RELOAD, ReloadVerdict},
    failure::{FAILED, Failure},
    http_client::Place,
    logging,
    verdict::Service,
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
    let is_told_where = arguments.socket.is_some() || arguments.config.is_given();
    if !is_told_where && let Some(service) = Service::of_command() {
        return tell(service.reload()?);
    }
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        // One that cannot be read would be refused by the server as well.
        None => arguments.config.load_public()?.fixed.admin.socket,
    };
    tell(call(&Place::Unix(socket), RELOAD, &())?)
}

/// Prints what the reloaded process has told the log, but not to a journal that has it already.
fn tell(verdict: ReloadVerdict) -> Result<(), Failure> {
    let ReloadVerdict { refused, applied, waiting } = verdict;
    let is_known = logging::leads_to_journal();
    if !refused.is_empty() {
        let summary = "the reload was refused; the old configuration is in force".to_owned();
        let lines = if is_known { Vec::new() } else { [vec![summary], refused].concat() };
        return Err(Failure { message: lines.join("\n"), status: FAILED });
    }
    if is_known {
        return Ok(());
    }
    print("the configuration was read again")?;
    applied.iter().try_for_each(|text| print(format!("{text} is in force")))?;
    waiting.iter().try_for_each(|text| print(format!("{text} needs a restart")))
}
