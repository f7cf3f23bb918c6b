//! What the commands ask at a terminal.

use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, poll},
    pty::openpty,
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};

use crate::machine::{Machine, Ran};

/// How long a question may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the program at a terminal, gives each answer once its question has come, and returns what
/// it came to with all that the terminal showed.
fn talk(machine: &Machine, arguments: &[&str], dialogue: &[(&str, &str)]) -> (Ran, String) {
    let terminal = openpty(None, None).unwrap();
    let side = || Stdio::from(terminal.slave.try_clone().unwrap());
    let program = Path::new(env!("CARGO_BIN_EXE_matrix-homeserver"));
    let mut command = machine.command(program, arguments);
    let child = command.stdin(side()).stderr(side()).stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    drop(terminal.slave);
    let mut master = File::from(terminal.master);
    let mut reading = master.try_clone().unwrap();
    let (sender, shown) = mpsc::sync_channel(1024);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        // It fails when the last process has closed the terminal.
        while let Ok(length @ 1..) = reading.read(&mut buffer) {
            if sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut transcript = String::new();
    let mut seen = 0;
    for (question, answer) in dialogue {
        while !transcript[seen..].contains(question) {
            let more = shown.recv_timeout(PATIENCE);
            transcript += &more.unwrap_or_else(|_| panic!("no {question} in {transcript}"));
        }
        seen = transcript.len();
        writeln!(master, "{answer}").unwrap();
    }
    let ran = Ran::from(child.wait_with_output().unwrap());
    drop(master);
    transcript.extend(shown.iter());
    reader.join().unwrap();
    (ran, transcript)
}

#[test]
fn a_user_is_made_as_synapses_guide_does() {
    let machine = Machine::new();
    let server = machine.serve();
    let config = machine.text("homeserver.toml");
    let (ran, shown) = talk(
        &machine,
        &["register-user", "-c", &config],
        &[
            ("New user localpart [", "erik"),
            ("Password: ", "wonderland"),
            ("Confirm password: ", "wonderland"),
            ("Make admin [no]: ", "yes"),
        ],
    );
    assert_eq!(ran.ok(), "Success! @erik:test.example was made.");
    assert!(shown.contains("erik") && !shown.contains("wonderland"), "{shown}");
    assert_eq!(machine.log_in("erik", "wonderland").0, 200);
    let listed = machine.run_configured(&["user", "list"]);
    assert_eq!(listed.ok(), "@erik:test.example\tadmin\terik");
    drop(server);
}

#[test]
fn passwords_that_differ_make_nobody() {
    let machine = Machine::new();
    let config = machine.text("homeserver.toml");
    let (ran, shown) = talk(
        &machine,
        &["user", "create", "a", "-c", &config],
        &[("Password: ", "wonderland"), ("Confirm password: ", "looking-glass")],
    );
    assert_eq!(ran.status, Some(1));
    assert!(shown.contains("matrix-homeserver: the passwords do not match"), "{shown}");
}

#[test]
fn a_configuration_is_asked_for() {
    let machine = Machine::new();
    let (ran, _) = talk(
        &machine,
        &["config", "generate", "--output", "made"],
        &[
            ("Server name", "example.org"),
            ("Report statistics", "perhaps"),
            ("Report statistics", "no"),
        ],
    );
    assert_eq!(ran.ok(), "made/homeserver.toml was written");
    let shown = machine.run(&["config", "show", "-c", "made/homeserver.toml"]);
    assert!(shown.ok().starts_with("server_name = \"example.org\"\n"), "{shown:?}");
}

/// The program at the hidden question for a password, which a signal meets there.
struct Asked {
    master: File,
    // Kept open, so that the terminal outlives the program.
    slave: OwnedFd,
    child: Child,
    shown: String,
}

impl Asked {
    fn new(machine: &Machine) -> Self {
        let terminal = openpty(None, None).unwrap();
        let side = || Stdio::from(terminal.slave.try_clone().unwrap());
        let program = env!("CARGO_BIN_EXE_matrix-homeserver");
        // Whoever runs the tests in the background may have them ignore some signals.
        let arguments = ["--default-signal", program, "hash-password"];
        let mut command = machine.command(Path::new("env"), &arguments);
        let child = command.stdin(side()).stderr(side()).stdout(Stdio::null()).spawn().unwrap();
        let master = File::from(terminal.master);
        let mut asked = Self { master, slave: terminal.slave, child, shown: String::new() };
        asked.wait_for_question(1);
        assert!(!asked.shows_what_is_typed());
        asked
    }

    fn shows_what_is_typed(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    /// Reads until the question has come so often; lets a stopped program go on meanwhile.
    fn wait_for_question(&mut self, times: usize) {
        let (start, mut buffer) = (Instant::now(), [0; 1024]);
        while self.shown.matches("Password: ").count() < times {
            assert!(start.elapsed() < PATIENCE, "{}", self.shown);
            let mut master = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            if poll(&mut master, 20_u8).unwrap() == 0 {
                if self.is_stopped() {
                    assert!(self.shows_what_is_typed());
                    self.signal(Signal::SIGCONT);
                }
                continue;
            }
            let length = self.master.read(&mut buffer).unwrap();
            self.shown += &String::from_utf8_lossy(&buffer[..length]);
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_at_a_hidden_question_leaves_the_terminal_as_it_was() {
    let machine = Machine::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut asked = Asked::new(&machine);
        asked.signal(signal);
        let status = asked.child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
        assert!(asked.shows_what_is_typed(), "{signal}");
    }
}

#[test]
fn whoever_comes_back_from_a_stop_is_asked_again() {
    let machine = Machine::new();
    let mut asked = Asked::new(&machine);
    // In a process group without a shell nothing stops, which makes no difference here.
    asked.signal(Signal::SIGTSTP);
    asked.wait_for_question(2);
    assert!(!asked.shows_what_is_typed());
}
