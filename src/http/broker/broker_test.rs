//! A broker and its client in one process, over a unix socket: connections, refusals, limits, and
//! what neither may leave behind.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener},
    path::Path,
};

use arc_swap::ArcSwap;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::{
    BrokerDial, Dial, DialSettings, IpRanges, PassedSockets, ResolveFuture,
    testing::{PATIENCE, read_to_end},
};

/// A resolver that knows a few names; one of them takes for ever.
struct Names;

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        Box::pin(async move {
            let addresses: &[&str] = match host {
                "server.test" => &["127.0.0.1"],
                "inside.test" => &["10.1.2.3", "::ffff:10.1.2.3"],
                "mixed.test" => &["10.1.2.3", "127.0.0.1"],
                "slow.test" => std::future::pending().await,
                _ => return Err(io::Error::other("no such name")),
            };
            Ok(addresses.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect())
        })
    }
}

/// A broker that denies 10.0.0.0/8, and where it listens.
struct Machine {
    directory: TempDir,
    settings: Arc<ArcSwap<DialSettings>>,
    broker: Broker<Names>,
}

impl Machine {
    fn new(limits: BrokerLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let deny = vec!["10.0.0.0/8".parse().unwrap()];
        let ranges = IpRanges { deny, allow: Vec::new() };
        // Longer than any test waits: what ends earlier was ended.
        let settings = DialSettings { ranges, timeout: Duration::from_mins(5) };
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let dial = SystemDial::new(Arc::clone(&settings), Names);
        let machine = Self { directory, settings, broker: Broker::new(dial, limits, |_, _, _| {}) };
        machine.listen(&machine.broker);
        machine
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("broker.sock")
    }

    fn listen(&self, broker: &Broker<Names>) {
        let bind = crate::Bind::unix(self.path());
        let listener = Listener::bind(&bind, &mut PassedSockets::none()).unwrap().remove(0);
        broker.serve(listener).unwrap();
    }

    fn client(&self) -> BrokerDial {
        BrokerDial::new(self.path(), Arc::clone(&self.settings))
    }

    async fn dial(&self, host: &str, port: u16) -> Attempt {
        self.client().attempt(&target(host, port)).await
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path()).await.unwrap()
    }
}

fn target(host: &str, port: u16) -> Target {
    Target { host: host.to_owned(), port }
}

/// A listener that answers each connection with what it read, once.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut buffer = [0; 64];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..length]).unwrap();
            }
        }
    });
    port
}

/// Whether the connection carries bytes both ways.
async fn carries(dialled: crate::Dialled) -> bool {
    use tokio::io::AsyncReadExt;
    let mut stream = dialled.stream;
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("no answer").unwrap();
    &answer == b"hello"
}

/// The open sockets that belong to a path or a port. Other tests run in this process, so that its
/// descriptors cannot be counted; the kernel's tables have each socket, even one in flight.
fn sockets_of(path: &Path, port: u16) -> usize {
    let unix = std::fs::read_to_string("/proc/net/unix").unwrap();
    let tcp = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let path = path.to_str().unwrap();
    // Established, or closed by the other end alone.
    let open = |line: &&str| {
        ["01", "08"].iter().any(|state| line.contains(&format!(":{port:04X} {state} ")))
    };
    unix.lines().filter(|line| line.ends_with(path)).count() + tcp.lines().filter(open).count()
}

/// Waits until something is as it should be.
async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let start = tokio::time::Instant::now();
    while !check() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_connected_socket_itself_is_handed_over() {
    let machine = Machine::new(BrokerLimits::default());
    let port = echo();
    for host in ["server.test", "127.0.0.1"] {
        let attempt = machine.dial(host, port).await;
        let dialled = attempt.outcome.unwrap();
        assert_eq!(dialled.address, SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(attempt.candidates.len(), 1);
        assert_eq!(attempt.candidates[0].fate, Fate::Connected);
        assert!(carries(dialled).await);
    }
    // Nobody else is between: it works on when the broker is gone.
    let dialled = machine.dial("server.test", port).await.outcome.unwrap();
    assert_eq!(machine.broker.drain(PATIENCE).await, Drained { cut: 0 });
    assert!(carries(dialled).await);
}

#[tokio::test]
async fn what_was_resolved_is_checked() {
    let machine = Machine::new(BrokerLimits::default());
    let port = echo();
    for host in ["inside.test", "10.1.2.3", "[::ffff:10.1.2.3]", "2002:a01:203::1"] {
        let attempt = machine.dial(host, port).await;
        let error = attempt.outcome.unwrap_err();
        assert!(matches!(error, DialError::Denied { .. }), "{host}: {error}");
        assert!(error.to_string().contains("lies in 10.0.0.0/8"), "{error}");
        let range = "10.0.0.0/8".parse().unwrap();
        assert!(attempt.candidates.iter().all(|found| found.fate == Fate::Denied(range)));
    }
    let attempt = machine.dial("mixed.test", port).await;
    assert_eq!(attempt.candidates[1].fate, Fate::Connected);
    assert!(matches!(attempt.candidates[0].fate, Fate::Denied(_)));
    assert_eq!(attempt.outcome.unwrap().address.ip().to_string(), "127.0.0.1");
    let deny = vec!["127.0.0.0/8".parse().unwrap()];
    let ranges = IpRanges { deny, allow: Vec::new() };
    machine.settings.store(Arc::new(DialSettings { ranges, ..DialSettings::default() }));
    let error = machine.dial("server.test", port).await.outcome.unwrap_err();
    assert!(matches!(error, DialError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn errors_come_over_as_they_are() {
    let machine = Machine::new(BrokerLimits::default());
    let direct = SystemDial::new(Arc::clone(&machine.settings), Names);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for host in ["server.test", "unknown.test", "inside.test"] {
        let expected = direct.dial(&target(host, port)).await.unwrap_err();
        let error = machine.client().dial(&target(host, port)).await.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
    }
    let quick = DialSettings { timeout: Duration::from_millis(50), ..DialSettings::default() };
    machine.settings.store(Arc::new(quick));
    let error = machine.dial("slow.test", 1).await.outcome.unwrap_err();
    assert!(error.to_string().contains("slow.test: no answer"), "{error}");
    let error = machine.dial(&"x".repeat(256), 1).await.outcome.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_gone_is_named_and_used_again_when_it_comes_back() {
    let machine = Machine::new(BrokerLimits::default());
    let port = echo();
    machine.broker.drain(PATIENCE).await;
    let error = machine.dial("server.test", port).await.outcome.unwrap_err();
    assert!(matches!(error, DialError::Broker { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(machine.path().to_str().unwrap()), "{text}");
    assert!(text.contains("No such file"), "{text}");
    let dial = SystemDial::new(Arc::clone(&machine.settings), Names);
    let successor = Broker::new(dial, BrokerLimits::default(), |_, _, _| {});
    machine.listen(&successor);
    assert!(carries(machine.dial("server.test", port).await.outcome.unwrap()).await);
}

#[tokio::test]
async fn nonsense_is_answered_with_an_error_and_the_connection_is_closed() {
    let machine = Machine::new(BrokerLimits::default());
    let version = [0, 2, 9, 1];
    let kind = [0, 2, 1, 9];
    let text = b"GET / HTTP/1.1\r\n\r\n";
    let empty_host = [0, 6, 1, 1, 0, 80, 0, 0];
    for (nonsense, reason) in [
        (&version[..], "this version of the protocol is not known"),
        (&kind, "this kind of request is not known"),
        (text, "the request is too long"),
        (&empty_host, "the host is no name and no address"),
        (&[0, 0], "the message is short"),
    ] {
        let mut stream = machine.connect().await;
        stream.write_all(nonsense).await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(answer.ends_with(reason), "{reason}: {answer:?}");
    }
    // Half a request, and none.
    for part in [&[0, 9, 1][..], &[]] {
        let mut stream = machine.connect().await;
        stream.write_all(part).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut stream).await, "");
    }
    assert!(machine.dial("server.test", echo()).await.outcome.is_ok());
}

#[tokio::test]
async fn requests_have_a_time_and_a_number() {
    let limits = BrokerLimits {
        max_requests: 2,
        request_timeout: Duration::from_millis(100),
        ..BrokerLimits::default()
    };
    let machine = Machine::new(limits);
    let mut silent = machine.connect().await;
    assert!(read_to_end(&mut silent).await.ends_with("no request came"));
    // Two that take for ever fill the broker; the third waits until one of them gives up.
    let (first, second) = (machine.client(), machine.client());
    let slow = target("slow.test", 1);
    let slow = &slow;
    let first = async move { first.dial(slow).await };
    let second = async move { second.dial(slow).await };
    let mut first = Box::pin(first);
    let mut second = Box::pin(second);
    let slots = &machine.broker.slots;
    tokio::select! {
        _ = &mut first => panic!("slow.test was resolved"),
        _ = &mut second => panic!("slow.test was resolved"),
        () = eventually("two requests", || slots.available_permits() == 0) => {}
    }
    let port = echo();
    let third = machine.dial("server.test", port);
    tokio::pin!(third);
    let pause = Duration::from_millis(200);
    assert!(timeout(pause, &mut third).await.is_err(), "a third request beside two");
    drop(first);
    assert!(timeout(PATIENCE, third).await.unwrap().outcome.is_ok());
}

#[tokio::test]
async fn a_stop_lets_requests_end_and_cuts_those_that_do_not() {
    let machine = Machine::new(BrokerLimits::default());
    let (client, slow) = (machine.client(), target("slow.test", 1));
    let waiting = tokio::spawn(async move { client.dial(&slow).await });
    // The task that accepts, and the request's.
    eventually("a request", || machine.broker.tracker.len() == 2).await;
    assert_eq!(machine.broker.drain(Duration::from_millis(100)).await, Drained { cut: 1 });
    let error = waiting.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("closed the connection without a whole answer"), "{error}");
}

#[tokio::test]
async fn nothing_is_left_open() {
    let machine = Machine::new(BrokerLimits::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = machine.path();
    let before = sockets_of(&path, port);
    for _ in 0..20 {
        drop(machine.dial("server.test", port).await.outcome.unwrap());
        drop(listener.accept().await.unwrap());
        // Asked, and gone before the answer is read: with the socket in it.
        let mut stream = machine.connect().await;
        let request = Request::Connect(target("server.test", port)).encode();
        stream.write_all(&request).await.unwrap();
        drop(listener.accept().await.unwrap());
        drop(stream);
        // Given up while the attempt goes on.
        let slow = Request::Connect(target("slow.test", port)).encode();
        let mut stream = machine.connect().await;
        stream.write_all(&slow).await.unwrap();
        drop(stream);
        let mut stream = machine.connect().await;
        stream.write_all(&[9; 40]).await.unwrap();
        read_to_end(&mut stream).await;
    }
    eventually("sockets are left open", || sockets_of(&path, port) == before).await;
    eventually("requests are left", || machine.broker.tracker.len() == 1).await;
}

/// What a client must not believe: a broker that sends what it likes.
#[tokio::test]
async fn a_broker_that_lies_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let client = BrokerDial::new(&path, Arc::new(ArcSwap::from_pointee(DialSettings::default())));
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = || std::net::TcpStream::connect(elsewhere.local_addr().unwrap()).unwrap();
    let answer = |outcome| Answer::Attempted(Attempt { candidates: Vec::new(), outcome }).encode();
    let connected = answer(Ok("192.0.2.1:443".parse().unwrap()));
    let timeout = Duration::from_secs(1);
    let failed = answer(Err(DialError::TimedOut { target: target("a", 1), timeout }));
    for (bytes, with_socket, reason) in [
        (connected.clone(), true, "leads somewhere else"),
        (connected, false, "says that it has connected, only"),
        (failed, true, "sent a socket with an error"),
        (vec![0xff, 0xff, 1, 0], false, "its answer is too long"),
        (vec![0, 3, 1, 0], false, "without a whole answer"),
        (vec![0, 2, 1, 99], false, "the message is short"),
    ] {
        let lie = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read(&mut stream).await.unwrap();
            let socket = with_socket.then(socket);
            let socket = socket.as_ref().map(AsFd::as_fd);
            descriptor::send(&stream, &bytes, socket).await.unwrap();
        };
        let asked = target("server.test", 443);
        let ((), outcome) = tokio::join!(lie, client.dial(&asked));
        let error = outcome.unwrap_err();
        assert!(matches!(error, DialError::Broker { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
    };
    use std::os::fd::AsRawFd;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let (family, flags) = (AddressFamily::Unix, SockFlag::SOCK_CLOEXEC);
    let descriptor = socket(family, SockType::Stream, flags, None).unwrap();
    bind(descriptor.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&descriptor, Backlog::new(0).unwrap()).unwrap();
    let listener = std::os::unix::net::UnixListener::from(descriptor);
    let mut waiting = Vec::new();
    let full = loop {
        match UnixStream::connect(&path).await {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    let client = BrokerDial::new(&path, Arc::new(ArcSwap::from_pointee(DialSettings::default())));
    let asked = target("server.test", 443);
    let asking = client.dial(&asked);
    tokio::pin!(asking);
    assert!(timeout(Duration::from_millis(200), &mut asking).await.is_err(), "it gave up");
    for _ in 0..waiting.len() {
        drop(listener.accept().unwrap());
    }
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 2];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(&Answer::Refused("now".to_owned()).encode()).unwrap();
        // Unread bytes would reset the connection before the answer is read.
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.read(&mut [0; 1]);
    });
    let error = asking.await.unwrap_err().to_string();
    assert!(error.ends_with("it refuses the request: now"), "{error}");
    answer.join().unwrap();
}

#[tokio::test]
async fn several_descriptors_are_an_error_and_closed() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let both = [writer.as_fd(), writer.as_fd(), writer.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&both)));
    let bytes = [io::IoSlice::new(b"x")];
    sendmsg(&ours, &bytes, &mut control, SendFlags::empty()).unwrap();
    let error = descriptor::receive(&theirs, &mut [0; 8]).await.unwrap_err();
    assert!(error.to_string().starts_with("several descriptors came"), "{error}");
    drop(writer);
    // The end of the pipe comes once nobody has its other end.
    let ended = std::thread::spawn(move || io::read_to_string(reader).unwrap());
    assert_eq!(ended.join().unwrap(), "");
}

#[tokio::test]
async fn a_broker_needs_a_unix_socket() {
    let machine = Machine::new(BrokerLimits::default());
    let error = machine.broker.serve(crate::testing::listener("127.0.0.1:0")).unwrap_err();
    assert!(error.to_string().contains("needs a unix socket"), "{error}");
}
