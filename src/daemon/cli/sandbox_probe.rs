//! `sandbox-probe`: what the sandbox of this configuration allows and refuses.

use super::{ConfigArgument, print};
use crate::{failure::Failure, sandbox::probe, settings};

pub(super) fn run(arguments: &ConfigArgument) -> Result<(), Failure> {
    let source = arguments.source();
    let config = arguments.load()?;
    settings::check(&config)?;
    print(probe::run(&config, &source)?.join("\n"))
}
