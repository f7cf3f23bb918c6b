//! A wire between the store and the server that can be cut at a commit.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::testing::Directory;

/// Where the wire is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The server never hears of the commit.
    Before,
    /// The server hears of it, and nobody waits for what it does.
    Meanwhile,
    /// The server has committed, and its answer is lost.
    After,
}

#[derive(Default)]
struct State {
    armed: Option<Cut>,
    /// Whether the next cut closes everything.
    closing: bool,
    closed: bool,
    wires: Vec<UnixStream>,
    /// Whether the server spoke last, and how often a client has spoken then.
    answered: bool,
    trips: usize,
}

/// The wire.
pub(super) struct Proxy {
    directory: Directory,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub(super) fn start(server: PathBuf) -> Self {
        let directory = Directory::new("proxy");
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = UnixStream::connect(&server) {
                    carry(&client, &server, &shared);
                }
            }
        });
        Self { directory, state }
    }

    /// The address of a database, through this wire.
    pub(super) fn url(&self, direct: &str) -> String {
        let (base, _) = direct.split_once("?host=").unwrap();
        let directory = self.directory.path().display().to_string().replace('/', "%2F");
        format!("{base}?host={directory}")
    }

    /// Has the wire cut at the next commit.
    pub(super) fn arm(&self, cut: Cut) {
        self.state.lock().armed = Some(cut);
    }

    /// Has the wire cut at the next commit, and lets nobody in after that.
    pub(super) fn arm_and_close(&self, cut: Cut) {
        let mut state = self.state.lock();
        state.armed = Some(cut);
        state.closing = true;
    }

    /// How often a client has said something to a server that had spoken last.
    pub(super) fn trips(&self) -> usize {
        self.state.lock().trips
    }

    /// Whether it was cut since.
    pub(super) fn has_cut(&self) -> bool {
        self.state.lock().armed.is_none()
    }

    /// Cuts all wires and lets nobody in.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for wire in state.wires.drain(..) {
            let _ = wire.shutdown(Shutdown::Both);
        }
    }

    /// Lets them in again.
    pub(super) fn open(&self) {
        let mut state = self.state.lock();
        state.closing = false;
        state.closed = false;
    }
}

/// Carries one session, both ways.
fn carry(client: &UnixStream, server: &UnixStream, state: &Arc<Mutex<State>>) {
    let copies = || -> std::io::Result<_> {
        let forth = (client.try_clone()?, server.try_clone()?);
        Ok((forth, (server.try_clone()?, client.try_clone()?)))
    };
    let Ok((forth, back)) = copies() else { return };
    {
        let mut state = state.lock();
        if state.closed {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
            return;
        }
        state.wires.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    }
    let swallow = Arc::new(Mutex::new(false));
    let (swallowing, state) = (Arc::clone(&swallow), Arc::clone(state));
    let answering = Arc::clone(&state);
    std::thread::spawn(move || {
        let (from, to) = forth;
        let mut commits = Commits::default();
        pump(&from, &to, |bytes| {
            let is_commit = commits.are_in(bytes);
            let mut state = state.lock();
            state.trips += usize::from(std::mem::take(&mut state.answered));
            if !is_commit {
                return Step::Forward;
            }
            let armed = state.armed.take();
            state.closed |= state.closing && armed.is_some();
            match armed {
                None => Step::Forward,
                Some(Cut::Before) => Step::Cut,
                Some(Cut::Meanwhile) => Step::ForwardAndCut,
                Some(Cut::After) => {
                    *swallowing.lock() = true;
                    Step::Forward
                }
            }
        });
    });
    std::thread::spawn(move || {
        let (from, to) = back;
        pump(&from, &to, |bytes| {
            answering.lock().answered = true;
            // The server's word that a transaction has ended.
            let done = contains(bytes, b"COMMIT\0") || contains(bytes, b"SELECT 1\0");
            if *swallow.lock() && done { Step::Cut } else { Step::Forward }
        });
    });
}

/// Finds commits in what a client says.
#[derive(Default)]
struct Commits {
    /// Names of statements that are transactions of their own, between zeros as they stand where
    /// they are used.
    statements: Vec<Vec<u8>>,
}

impl Commits {
    fn are_in(&mut self, bytes: &[u8]) -> bool {
        const TEXT: &[u8] = b"\0WITH last AS (";
        for at in find_all(bytes, TEXT) {
            // Before the text stands the statement's name: an s and a number.
            let digits = bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            let name = [b"\0s", &bytes[at - digits..at], b"\0"].concat();
            self.statements.push(name);
        }
        contains(bytes, b"COMMIT\0")
            || self.statements.iter().any(|statement| contains(bytes, statement))
    }
}

enum Step {
    Forward,
    ForwardAndCut,
    Cut,
}

fn pump(mut from: &UnixStream, mut to: &UnixStream, mut look: impl FnMut(&[u8]) -> Step) {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let step = look(&buffer[..length]);
        if !matches!(step, Step::Cut) && to.write_all(&buffer[..length]).is_err() {
            break;
        }
        if !matches!(step, Step::Forward) {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    !find_all(bytes, text).is_empty()
}

fn find_all(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let starts = bytes.windows(text.len()).enumerate();
    starts.filter(|(_, window)| *window == text).map(|(at, _)| at).collect()
}
