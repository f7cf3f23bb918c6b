//! `health`: asks the running server whether it is well, for whoever looks after it and knows exit
//! statuses only, such as the health check of a container.

use clap::Args;
use hyper::{Method, StatusCode};

use super::{ConfigArgument, block_on, print, register_user::place};
use crate::{failure::Failure, http_client};

#[derive(Args, Debug)]
pub(super) struct Health {
    /// The server; without this the configuration tells, else it is port 8008 of this machine
    #[arg(value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Health) -> Result<(), Failure> {
    let config = match &arguments.server {
        Some(_) => None,
        None => Some(arguments.config.load_public()?),
    };
    let place = place(arguments.server.as_deref(), (&arguments.config, config.as_ref()))?;
    let status = block_on(async {
        let answer = http_client::send(&place, Method::GET, "/health", None).await;
        Ok(answer.map_err(Failure::new)?.status)
    })?;
    match status {
        StatusCode::OK => print("the server is well"),
        // The answer of the server's own `/health`.
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(Failure::new(format!("the server at {place} is not well: see its log")))
        }
        other => Err(Failure::new(format!("{place} answers {other}: it is no such server"))),
    }
}
