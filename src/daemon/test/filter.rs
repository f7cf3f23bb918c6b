//! A process from which Landlock is hidden, as filters of system calls of containers do it.

use std::{
    process::{Command, Output},
    thread,
};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Numbers of the system calls, the same on every architecture.
const CREATE_RULESET: i64 = 444;
const ADD_RULE: i64 = 445;
const RESTRICT_SELF: i64 = 446;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// What of Landlock is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hidden {
    Everything,
    Rules,
    Restriction,
}

/// Runs a command with it hidden.
pub(crate) fn output(mut command: Command, hidden: Hidden) -> Output {
    without(hidden, move || command.output().unwrap())
}

/// Does something with it hidden, also from the processes that are started meanwhile.
pub(crate) fn without<T: Send + 'static>(
    hidden: Hidden,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (call, error) = match hidden {
        Hidden::Everything => (CREATE_RULESET, ENOSYS),
        Hidden::Rules => (ADD_RULE, EPERM),
        Hidden::Restriction => (RESTRICT_SELF, EPERM),
    };
    let filter = SeccompFilter::new(
        [(call, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(error),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    // The filter binds the thread and what it starts, and ends with it.
    let run = move || {
        apply_filter(&program).unwrap();
        work()
    };
    thread::spawn(run).join().unwrap()
}
