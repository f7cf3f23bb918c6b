//! The trap of `PrivatePIDs=`: systemd 257 names in `LISTEN_PID` and `WATCHDOG_PID` a process id
//! that the process itself never sees, for it is number 1 of a namespace of its own. Whoever
//! compares them, as everybody must, finds no sockets and no watchdog.
//!
//! The variables of a running process can only be changed by unsafe code, so the program is put in
//! its own place with the right ones: the process, its id and what was passed to it stay.

use std::{ffi::OsStr, os::unix::process::CommandExt, process::Command};

use crate::{failure::Failure, notify};

const NAMES: [&str; 2] = ["LISTEN_PID", "WATCHDOG_PID"];

/// Puts the ids right where they must be wrong. Comes back if there is nothing to do.
pub(crate) fn correct() -> Result<(), Failure> {
    let is_first = std::process::id() == 1;
    let wrong: Vec<_> = NAMES
        .into_iter()
        .filter(|name| is_wrong(is_first, notify::is_heard(), std::env::var_os(name).as_deref()))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let mut again = Command::new("/proc/self/exe");
    again.args(std::env::args_os().skip(1)).envs(wrong.into_iter().map(|name| (name, "1")));
    if let Some(name) = std::env::args_os().next() {
        again.arg0(name);
    }
    // It comes back only if it failed.
    let error = again.exec();
    Err(Failure::new(format!("cannot start again with the right LISTEN_PID: {error}")))
}

/// Only a service manager starts a service as the first process of a namespace, and nobody else
/// can be meant by what it says to that process.
fn is_wrong(is_first: bool, is_managed: bool, value: Option<&OsStr>) -> bool {
    is_first && is_managed && value.is_some_and(|value| value != "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_managed_first_process_with_another_id_is_corrected() {
        let wrong = |first, managed, value: &str| is_wrong(first, managed, Some(OsStr::new(value)));
        assert!(wrong(true, true, "4372"));
        assert!(!wrong(true, true, "1"));
        assert!(!wrong(false, true, "4372"));
        assert!(!wrong(true, false, "4372"));
        assert!(!is_wrong(true, true, None));
    }
}
