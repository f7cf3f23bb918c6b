//! Restarts under load, with the listener held outside as the service manager holds it: requests in
//! flight are answered, and whoever connects meanwhile waits for the successor.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    egress::{command, passing},
    machine::{Machine, PATIENCE},
    manager::Manager,
};

/// A machine whose server listens at a socket of the test's.
fn machine() -> (Machine, TcpListener) {
    let mut machine = Machine::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    machine.port = listener.local_addr().unwrap().port();
    let text = format!(
        "server_name = \"test.example\"\nreport_stats = false\nstate_directory = \"{}\"\n\
         [rate_limits]\nmessage = {{ per_second = 10000.0, burst = 10000 }}\n",
        machine.text("state")
    );
    machine.write("homeserver.toml", &text, 0o600);
    (machine, listener)
}

fn start<'a>(machine: &'a Machine, listener: &TcpListener) -> Manager<'a> {
    let command = passing(&command(machine, &["serve"]), "client", listener);
    let manager = Manager::of(machine, command);
    manager.until("READY=1\n");
    manager
}

/// A user in a room.
struct Session<'a> {
    machine: &'a Machine,
    token: String,
    room: String,
}

impl<'a> Session<'a> {
    fn open(machine: &'a Machine) -> Self {
        let config = machine.text("homeserver.toml");
        let arguments = ["user", "create", "a", "--config", &config];
        machine.run_as(&machine.link("program"), &arguments, "wonderland\n").ok();
        let (status, session) = machine.log_in("a", "wonderland");
        assert_eq!(status, 200, "{session}");
        let token = session["access_token"].as_str().unwrap().to_owned();
        let path = format!("POST /_matrix/client/v3/createRoom?access_token={token}");
        let (status, room) = machine.request(&path, Some(&json!({})));
        assert_eq!(status, 200, "{room}");
        let room = room["room_id"].as_str().unwrap().to_owned();
        Self { machine, token, room }
    }

    /// Path and body of a message.
    fn message(&self, transaction: &str) -> (String, String) {
        let Self { room, .. } = self;
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}");
        (path, json!({"msgtype": "m.text", "body": transaction}).to_string())
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.machine.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    }

    /// A request of HTTP/1.1.
    fn text(&self, method: &str, path: &str, body: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
    }
}

/// A client that has not used its connection for so long has no right to it.
const REST_MAX: Duration = Duration::from_millis(100);

/// What a request came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Answered(u16),
    /// Nothing came on a connection that had served before.
    Unanswered(String),
    /// Anything else, which no client can put right.
    Failed(String),
}

/// A client that keeps its connection until it is told to close it.
struct KeepAlive<'a> {
    session: &'a Session<'a>,
    stream: Option<BufReader<TcpStream>>,
    last_use: Instant,
}

impl<'a> KeepAlive<'a> {
    fn new(session: &'a Session<'a>) -> Self {
        Self { session, stream: None, last_use: Instant::now() }
    }

    fn request(&mut self, method: &str, path: &str, body: &str) -> Outcome {
        if self.last_use.elapsed() > REST_MAX {
            // On a busy machine; as every client does with a connection that may be gone.
            self.stream = None;
        }
        let is_used = self.stream.is_some();
        let mut stream = self.stream.take().unwrap_or_else(|| self.session.connect());
        let request = self.session.text(method, path, body);
        let answer = stream.get_mut().write_all(request.as_bytes());
        match answer.and_then(|()| read_answer(&mut stream)) {
            Ok(answer) => {
                self.stream = (!answer.closes).then_some(stream);
                self.last_use = Instant::now();
                Outcome::Answered(answer.status)
            }
            Err(error) if is_used && error.kind() != ErrorKind::InvalidData => {
                Outcome::Unanswered(error.to_string())
            }
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

struct Answer {
    status: u16,
    closes: bool,
    body: Value,
}

fn read_answer(stream: &mut impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let broken = || std::io::Error::from(ErrorKind::InvalidData);
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(broken)?;
    let (mut closes, mut length) = (false, 0);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        closes |= name.eq_ignore_ascii_case("connection") && value == "close";
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| broken())?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(|_| broken())?;
    Ok(Answer { status, closes, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// A client of HTTP/2, which is told by GOAWAY to go on elsewhere.
struct Multiplexed<'a> {
    session: &'a Session<'a>,
    sender: Option<http2::SendRequest<Full<Bytes>>>,
}

impl<'a> Multiplexed<'a> {
    fn new(session: &'a Session<'a>) -> Self {
        Self { session, sender: None }
    }

    async fn connect(&self) -> http2::SendRequest<Full<Bytes>> {
        let address = ("127.0.0.1", self.session.machine.port);
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn request(&mut self, method: &str, path: &str, body: &str) -> Outcome {
        let is_used = self.sender.is_some();
        let mut kept = self.sender.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://test{path}"))
            .header("Authorization", format!("Bearer {}", self.session.token))
            .body(Full::from(body.to_owned()))
            .unwrap();
        match sender.send_request(request).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                if let Err(error) = answer.into_body().collect().await {
                    return Outcome::Failed(error.to_string());
                }
                self.sender = Some(sender);
                Outcome::Answered(status)
            }
            Err(error) if is_used => Outcome::Unanswered(format!("{error:?}")),
            Err(error) => Outcome::Failed(format!("{error:?}")),
        }
    }
}

/// What all clients have met.
#[derive(Default)]
struct Met {
    stop: AtomicBool,
    answered: AtomicUsize,
    wrong: Mutex<Vec<Outcome>>,
}

impl Met {
    fn goes_on(&self) -> bool {
        !self.stop.load(SeqCst)
    }

    fn note(&self, outcome: Outcome) {
        match outcome {
            Outcome::Answered(200) => {
                self.answered.fetch_add(1, SeqCst);
            }
            wrong => self.wrong.lock().unwrap().push(wrong),
        }
    }
}

#[test]
fn restarts_lose_no_request() {
    const RESTARTS: usize = 5;
    const SENDERS: u64 = 3;
    let (machine, listener) = machine();
    let mut manager = start(&machine, &listener);
    let session = Session::open(&machine);
    let met = Met::default();
    thread::scope(|scope| {
        for number in 0..SENDERS {
            let (session, met) = (&session, &met);
            scope.spawn(move || {
                let mut client = KeepAlive::new(session);
                for count in 0.. {
                    let (path, body) = session.message(&format!("{number}-{count}"));
                    met.note(client.request("PUT", &path, &body));
                    // One sends all the time, the connections of others are idle between.
                    thread::park_timeout(Duration::from_millis(10 * number));
                    if !met.goes_on() {
                        return;
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut client = KeepAlive::new(&session);
            let since = machine.sync(&session.token, None);
            while met.goes_on() {
                // The token stands still, so that each answer comes at once but the empty ones.
                let path = "/_matrix/client/v3/account/whoami";
                met.note(client.request("GET", path, ""));
                let path = format!("/_matrix/client/v3/sync?timeout=500&since={since}");
                met.note(client.request("GET", &path, ""));
            }
        });
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut client = Multiplexed::new(&session);
                for count in 0.. {
                    let (path, body) = session.message(&format!("h2-{count}"));
                    met.note(client.request("PUT", &path, &body).await);
                    if !met.goes_on() {
                        return;
                    }
                }
            });
        });
        for _ in 0..RESTARTS {
            let before = met.answered.load(SeqCst);
            while met.answered.load(SeqCst) < before + 100 {
                thread::park_timeout(Duration::from_millis(5));
            }
            assert_eq!(manager.stop(), Some(0));
            manager = start(&machine, &listener);
        }
        met.stop.store(true, SeqCst);
    });
    let wrong = met.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{} answered, {}: {wrong:?}", met.answered.load(SeqCst), wrong.len());
    assert_eq!(manager.stop(), Some(0));
}

#[test]
fn what_is_under_way_is_answered_and_who_comes_in_the_gap_waits() {
    let (machine, listener) = machine();
    let mut manager = start(&machine, &listener);
    let session = Session::open(&machine);
    let since = machine.sync(&session.token, None);
    let poll_path = format!("/_matrix/client/v3/sync?timeout=60000&since={since}");
    let mut poll = session.connect();
    poll.get_mut().write_all(session.text("GET", &poll_path, "").as_bytes()).unwrap();
    let (path, body) = session.message("slow");
    let text = session.text("PUT", &path, &body);
    let (begin, rest) = text.split_at(text.len() - 10);
    let mut slow = session.connect();
    slow.get_mut().write_all(begin.as_bytes()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut multiplexed = Multiplexed::new(&session);
    let poll_two = async { multiplexed.request("GET", &poll_path, "").await };
    thread::scope(|scope| {
        let runtime = &runtime;
        let poll_two = scope.spawn(move || runtime.block_on(poll_two));
        // Long enough to be in the middle of them; were it not, the test would show less.
        thread::park_timeout(Duration::from_millis(500));
        manager.signal(Signal::SIGTERM);
        manager.until("STOPPING=1\n");
        let told = read_answer(&mut poll).unwrap();
        assert_eq!((told.status, told.closes), (200, true));
        assert_eq!(poll_two.join().unwrap(), Outcome::Answered(200));
    });
    // Nobody accepts any more, but the kernel does.
    let mut gap = session.connect();
    gap.get_mut().write_all(session.text("GET", &poll_path, "").as_bytes()).unwrap();
    slow.get_mut().write_all(rest.as_bytes()).unwrap();
    let sent = read_answer(&mut slow).unwrap();
    assert_eq!((sent.status, sent.closes), (200, true));
    assert_eq!(manager.child.wait().unwrap().code(), Some(0));

    let mut manager = start(&machine, &listener);
    let told = read_answer(&mut gap).unwrap();
    assert_eq!(told.status, 200);
    let timeline = &told.body["rooms"]["join"][&session.room]["timeline"]["events"];
    assert_eq!(timeline[0]["event_id"], sent.body["event_id"], "{timeline}");
    assert_eq!(manager.stop(), Some(0));
}
