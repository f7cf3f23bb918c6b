//! Questions to whoever sits at the terminal. They go to standard error, so that standard output
//! holds the result alone.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    os::fd::AsFd,
    path::Path,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    },
};

use crate::failure::Failure;

/// Whether somebody is there to be asked.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    prompt(question)?;
    read_line()
}

/// A password: from a file when one is given, typed twice at a terminal, else the first line of
/// standard input.
pub(crate) fn password(file: Option<&Path>) -> Result<String, Failure> {
    let password = match file {
        Some(path) => password_of_file(path)?,
        None if is_interactive() => typed_password()?,
        None => read_line()?,
    };
    if password.is_empty() {
        return Err(Failure::new("the password must not be empty"));
    }
    Ok(password)
}

fn password_of_file(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn typed_password() -> Result<String, Failure> {
    let first = without_echo("Password: ")?;
    if first.is_empty() {
        return Ok(first);
    }
    let second = without_echo("Confirm password: ")?;
    if first == second { Ok(first) } else { Err(Failure::new("the passwords do not match")) }
}

fn prompt(question: &str) -> Result<(), Failure> {
    let mut terminal = io::stderr();
    write!(terminal, "{question}")
        .and_then(|()| terminal.flush())
        .map_err(|error| Failure::new(format!("cannot ask: {error}")))
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    match read.map_err(|error| Failure::new(format!("cannot read an answer: {error}")))? {
        0 => Err(Failure::new("standard input ended before an answer")),
        _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

/// Puts the terminal back as it was.
struct Echo(Termios);

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Lets the held signals do what they do; one that waits does it now.
struct Held(SigSet);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.thread_unblock();
    }
}

/// Asks for a line that is not shown. Signals that end or stop the process meanwhile do so only
/// once the terminal shows again what is typed; who comes back from a stop is asked again.
fn without_echo(question: &str) -> Result<String, Failure> {
    loop {
        if let Some(line) = unless_interrupted(question)? {
            return Ok(line);
        }
    }
}

fn unless_interrupted(question: &str) -> Result<Option<String>, Failure> {
    let cannot = |error| Failure::new(format!("cannot hide what is typed: {error}"));
    let mut signals = SigSet::empty();
    for signal in
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP]
    {
        signals.add(signal);
    }
    signals.thread_block().map_err(cannot)?;
    // What is declared first is dropped last: the terminal is right before a signal is let go.
    let _held = Held(signals);
    let told = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(cannot)?;
    let before = tcgetattr(io::stdin()).map_err(cannot)?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    hidden.local_flags.insert(LocalFlags::ECHONL);
    let _echo = Echo(before);
    // What was typed ahead of the question is no password.
    tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden).map_err(cannot)?;
    prompt(question)?;
    let stdin = io::stdin();
    let mut sources = [told.as_fd(), stdin.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll(&mut sources, PollTimeout::NONE).map_err(cannot)?;
    if sources[0].any() == Some(true) { Ok(None) } else { read_line().map(Some) }
}
