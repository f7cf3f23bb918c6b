//! Tests of the server loop with real sockets: protocols, limits, the drain.

use std::time::Duration;

use axum::{Router, extract::State, routing};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::*;
use crate::{ListenerStats, testing::*};

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} does not happen");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn speaks_http1_and_tells_the_peer() {
    let (_server, address) = start(Limits::default(), None);
    let stream = connect(address).await;
    let local = stream.local_addr().unwrap();
    let mut client = http1(stream).await;
    for _ in 0..2 {
        let response = client.send_request(get("/connection")).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        let expected = Connection { peer: Peer::Tcp(local), tls: false, listener: 0 };
        assert_eq!(text(response).await, format!("{expected:?}"));
    }
}

#[tokio::test]
async fn connections_are_counted_by_listener() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let (server, address) = start(Limits::default(), None);
    let secure = listener("127.0.0.1:0").with_tls(Arc::new(Tls::new(certificate(&files))));
    let secure_address = tcp_address(&secure);
    server.serve(secure, tower::service_fn(answer)).unwrap();
    let traffic = server.traffic();
    let mut client = http1(connect(address).await).await;
    client.send_request(get("/connection")).await.unwrap();
    // Somebody who does not speak TLS.
    let mut plain = connect(secure_address).await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    until("the failed handshake", || traffic.read()[1].failed_handshakes == 1).await;
    let first =
        ListenerStats { address: address.to_string(), accepted: 1, open: 1, failed_handshakes: 0 };
    let second = ListenerStats {
        address: secure_address.to_string(),
        accepted: 1,
        open: 0,
        failed_handshakes: 1,
    };
    until("the end of it", || traffic.read() == [first.clone(), second.clone()]).await;
    drop(client);
    until("the client's end", || traffic.read()[0].open == 0).await;
    assert_eq!(traffic.read()[0].accepted, 1);
}

#[tokio::test]
async fn speaks_http2_with_prior_knowledge() {
    let (_server, address) = start(Limits::default(), None);
    let client = http2(connect(address).await).await;
    let mut first = client.clone();
    let mut second = client;
    let slow = first.send_request(get("/wait/300"));
    let quick = second.send_request(get("/connection"));
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(quick.unwrap().version(), Version::HTTP_2);
    assert_eq!(text(slow.unwrap()).await, "waited");
}

#[tokio::test]
async fn first_bytes_may_come_one_by_one() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (server, address) = start(Limits::default(), None);
    for (request, answer) in [
        (b"POST /refuse HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), b"HTTP/1.1 403".as_slice()),
        (b"PRINT / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 404"),
        // Its settings come at once: type 4 in stream 0.
        (PREFACE, &[0, 0]),
    ] {
        let mut client = connect(address).await;
        client.set_nodelay(true).unwrap();
        for byte in request {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        let mut begin = vec![0; answer.len()];
        timeout(PATIENCE, client.read_exact(&mut begin)).await.unwrap().unwrap();
        assert_eq!(begin, answer, "{request:?}");
    }
    // What ends before it tells is no reason to wait.
    let mut client = connect(address).await;
    client.write_all(b"PR").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    client.shutdown().await.unwrap();
    read_to_end(&mut client).await;
    drop(client);
    until("their ends", || server.connections() == 0).await;
}

/// A thousand clients that wait are a thousand of these.
#[tokio::test]
async fn a_connection_takes_little_memory() {
    const MOST_BYTES: usize = 2048;
    let (server, address) = start(Limits::default(), None);
    let plain = Plain::Tcp(connect(address).await);
    let connection = Connection { peer: Peer::Tcp(address), tls: false, listener: 0 };
    let service = Router::<()>::new();
    let serving = serve_connection(server.shared.load_full(), plain, None, connection, service);
    let bytes = size_of_val(&serving);
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

#[tokio::test]
async fn takes_a_router_as_it_is() {
    async fn peer(State(greeting): State<&'static str>, request: axum::extract::Request) -> String {
        format!("{greeting} {:?}", request.extensions().get::<Connection>().unwrap().peer)
    }
    let router = Router::new().route("/peer", routing::get(peer)).with_state("hello");
    let server = Server::new(Limits::default());
    let listener = listener("127.0.0.1:0");
    let address = tcp_address(&listener);
    server.serve(listener, router).unwrap();
    let stream = connect(address).await;
    let expected = format!("hello {:?}", Peer::Tcp(stream.local_addr().unwrap()));
    let mut client = http1(stream).await;
    let answer = client.send_request(get("/peer")).await.unwrap();
    assert_eq!(text(answer).await, expected);
}

#[tokio::test]
async fn numbers_its_listeners() {
    let (server, _) = start(Limits::default(), None);
    let second = listener("[::1]:0");
    let address = tcp_address(&second);
    assert_eq!(server.serve(second, tower::service_fn(answer)).unwrap(), 1);
    let mut client = http1(connect(address).await).await;
    let answer = text(client.send_request(get("/connection")).await.unwrap()).await;
    assert!(answer.contains("listener: 1"), "{answer}");
}

#[tokio::test]
async fn serves_unix_sockets_with_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client.sock");
    let server = Server::new(Limits::default());
    let listener = listener(&format!("unix:{}?mode=600", path.display()));
    server.serve(listener, tower::service_fn(answer)).unwrap();
    let mut client = http1(UnixStream::connect(&path).await.unwrap()).await;
    let answer = text(client.send_request(get("/connection")).await.unwrap()).await;
    let own = format!("pid: Some({})", std::process::id());
    assert!(answer.contains("Unix") && answer.contains(&own), "{answer}");
    drop(client);
    server.drain(PATIENCE).await;
    assert!(!path.exists(), "the socket's file is left behind");
}

#[tokio::test]
async fn cuts_a_client_that_says_nothing() {
    let (server, address) = start(short_limits(), None);
    let mut silent = connect(address).await;
    until("accepting", || server.connections() == 1).await;
    assert_eq!(read_to_end(&mut silent).await, "");
    until("giving the place back", || server.connections() == 0).await;
}

#[tokio::test]
async fn cuts_a_client_whose_head_never_ends() {
    let (_server, address) = start(short_limits(), None);
    let mut slow = connect(address).await;
    // A complete request first: the limit holds on a connection that was used, too.
    slow.write_all(b"GET /connection HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n").await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"X-A: b\r\n").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let answers = read_to_end(&mut reader).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    timeout(PATIENCE, dripping).await.unwrap().unwrap();
}

#[tokio::test]
async fn cuts_an_http2_client_whose_head_never_comes() {
    let (_server, address) = start(short_limits(), None);
    let mut slow = connect(address).await;
    slow.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    slow.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(!answer.is_empty(), "the server's own settings came");
}

#[tokio::test]
async fn closes_idle_connections_but_no_long_poll() {
    let (server, address) = start(short_limits(), None);
    let mut polling = http1(connect(address).await).await;
    let mut polling2 = http2(connect(address).await).await;
    let (first, second) = tokio::join!(
        polling.send_request(get("/wait/2000")),
        polling2.send_request(get("/wait/2000"))
    );
    assert_eq!(text(first.unwrap()).await, "waited");
    assert_eq!(text(second.unwrap()).await, "waited");
    until("closing the idle ones", || server.connections() == 0).await;
    assert!(polling.send_request(get("/connection")).await.is_err());
    assert!(polling2.send_request(get("/connection")).await.is_err());
}

#[tokio::test]
async fn cuts_a_client_that_does_not_take_its_answer() {
    let (server, address) = start(short_limits(), None);
    let mut greedy = connect(address).await;
    greedy.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until("accepting", || server.connections() == 1).await;
    until("cutting", || server.connections() == 0).await;
    assert!(read_to_end(&mut greedy).await.len() < LARGE_BYTES);
}

#[tokio::test]
async fn a_slow_reader_gets_its_whole_answer() {
    let limits = Limits { idle_timeout: Duration::from_millis(100), ..short_limits() };
    let (_server, address) = start(limits, None);
    let mut slow = connect(address).await;
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut piece = vec![0; 4 * 1024 * 1024];
    let mut total = 0;
    loop {
        let read = timeout(PATIENCE, slow.read(&mut piece)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        total += read;
        sleep(Duration::from_millis(5)).await;
    }
    assert!(total > LARGE_BYTES, "{total}");
}

#[tokio::test]
async fn refuses_oversize_heads() {
    let limits = Limits { max_header_bytes: 8192, ..Limits::default() };
    let (_server, address) = start(limits, None);
    let mut client = connect(address).await;
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");

    let mut client = http2(connect(address).await).await;
    let mut request = get("/connection");
    request.headers_mut().insert("x-long", "x".repeat(12_000).parse().unwrap());
    match client.send_request(request).await {
        Ok(response) => assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        // Or the client sees by the server's settings that it need not even try.
        Err(error) => assert!(!error.is_closed(), "{error}"),
    }
    let response = client.send_request(get("/connection")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_size_of_a_head_is_exact() {
    let limits = Limits::default();
    let most = usize::try_from(limits.max_header_bytes).unwrap();
    let (_server, address) = start(limits, None);
    for (bytes, status) in [(most, 200), (most + 1, 431), (most + 10_000, 431)] {
        let head = "GET /connection HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \r\n\r\n";
        let head = head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len())));
        let mut client = connect(address).await;
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes}: {answer:?}");
    }
}

#[tokio::test]
async fn refuses_too_many_headers() {
    let (_server, address) = start(Limits { max_headers: 10, ..Limits::default() }, None);
    let mut client = connect(address).await;
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(20));
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let (_server, address) = start(Limits::default(), None);
    let client = connect(address).await;
    let (mut reader, mut writer) = client.into_split();
    let sending = tokio::spawn(async move {
        let length = 32 * 1024 * 1024;
        let head = format!("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.write_all(&vec![b'x'; length]).await
    });
    let sent = timeout(PATIENCE, sending).await.unwrap().unwrap();
    assert!(sent.is_ok(), "the connection was reset while the client sent: {sent:?}");
    let answer = read_to_end(&mut reader).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("refused"), "{answer:?}");
}

#[tokio::test]
async fn limits_bodies() {
    let (_server, address) = start(Limits::default(), None);
    for over in [false, true] {
        let size = if over { 1001 } else { 1000 };
        let expected = if over { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::OK };
        let request = || {
            let body = Full::new(Bytes::from(vec![b'x'; size]));
            Request::post("http://server.test/limited").body(body).unwrap()
        };
        let mut client = http1(connect(address).await).await;
        assert_eq!(client.send_request(request()).await.unwrap().status(), expected);
        let mut client = http2(connect(address).await).await;
        assert_eq!(client.send_request(request()).await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn a_body_must_come_in_time_and_whole() {
    let (_server, address) = start(Limits::default(), None);
    let head = b"POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345";
    let mut slow = connect(address).await;
    slow.write_all(head).await.unwrap();
    let answer = read_to_end(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");

    let mut broken = connect(address).await;
    broken
        .write_all(b"POST /limited HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        .await
        .unwrap();
    let answer = read_to_end(&mut broken).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let (server, address) = start(Limits { max_connections: 1, ..Limits::default() }, None);
    let mut first = http1(connect(address).await).await;
    assert_eq!(text(first.send_request(get("/wait/0")).await.unwrap()).await, "waited");
    let mut second = http1(connect(address).await).await;
    let mut waiting = tokio::spawn(async move { second.send_request(get("/wait/0")).await });
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    assert_eq!(server.connections(), 1);
    drop(first);
    let response = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(text(response).await, "waited");
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_takes_no_more() {
    let (server, address) = start(Limits::default(), None);
    let mut idle = connect(address).await;
    let mut first = http1(connect(address).await).await;
    let mut second = http2(connect(address).await).await;
    let requests = tokio::spawn(async move {
        let sent = (first.send_request(get("/wait/1500")), second.send_request(get("/wait/1500")));
        let (first, second) = tokio::join!(sent.0, sent.1);
        (text(first.unwrap()).await, text(second.unwrap()).await)
    });
    until("accepting", || server.connections() == 3).await;
    // The requests are on their way, too: nothing shows that from outside.
    sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    assert_eq!(server.drain(PATIENCE).await, Drained { cut: 0 });
    assert!(start.elapsed() < PATIENCE / 2);
    let waited = "waited".to_owned();
    assert_eq!(timeout(PATIENCE, requests).await.unwrap().unwrap(), (waited.clone(), waited));
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn connections_of_a_listeners_own_are_taken_by_nobody_else() {
    let (server, address) = start(Limits { max_connections: 1, ..Limits::default() }, None);
    let mut first = http1(connect(address).await).await;
    first.send_request(get("/connection")).await.unwrap();
    let second = listener("127.0.0.1:0").with_own_connections(1);
    let apart = tcp_address(&second);
    server.serve(second, tower::service_fn(answer)).unwrap();
    let mut second = http1(connect(apart).await).await;
    let answered = timeout(PATIENCE, second.send_request(get("/connection"))).await;
    assert_eq!(answered.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(server.connections(), 2);
    assert_eq!(server.drain(PATIENCE).await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_answers_what_comes_on_connections_that_are_there() {
    const REQUEST: &[u8] = b"GET /connection HTTP/1.1\r\nHost: a\r\n\r\n";
    let (server, address) = start(Limits { max_connections: 2, ..Limits::default() }, None);
    let mut used = http1(connect(address).await).await;
    used.send_request(get("/connection")).await.unwrap();
    let mut unused = connect(address).await;
    until("accepting", || server.connections() == 2).await;
    // It is taken from the queue, where the successor would have found it, but has no place.
    let mut waiting = connect(address).await;
    sleep(Duration::from_millis(100)).await;
    let clients = async {
        // The drain has begun, and the connections are idle still.
        sleep(Duration::from_millis(20)).await;
        let answer = used.send_request(get("/connection")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["connection"], "close");
        for client in [&mut unused, &mut waiting] {
            client.write_all(REQUEST).await.unwrap();
            let answer = read_to_end(client).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        }
    };
    let (drained, ()) = tokio::join!(server.drain(PATIENCE), clients);
    assert_eq!(drained, Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_end() {
    let (server, address) = start(Limits::default(), None);
    let mut first = http1(connect(address).await).await;
    let mut second = http2(connect(address).await).await;
    let requests = tokio::spawn(async move {
        tokio::join!(
            first.send_request(get("/wait/600000")),
            second.send_request(get("/wait/600000"))
        )
    });
    until("accepting", || server.connections() == 2).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(server.drain(Duration::from_millis(200)).await, Drained { cut: 2 });
    let (first, second) = timeout(PATIENCE, requests).await.unwrap().unwrap();
    assert!(first.is_err() && second.is_err());
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let (server, address) = start(Limits::default(), None);
    let mut client = connect(address).await;
    client.write_all(b"GET /wait/600000 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until("accepting", || server.connections() == 1).await;
    drop(client);
    until("noticing", || server.connections() == 0).await;
}

#[test]
fn only_errors_of_one_connection_are_passed_over() {
    assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    // Too many open files: the next accept fails as well.
    assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
}

#[tokio::test]
async fn new_limits_hold_for_new_connections() {
    let (server, address) = start(Limits { max_connections: 1, ..Limits::default() }, None);
    let mut first = http1(connect(address).await).await;
    first.send_request(get("/connection")).await.unwrap();
    let mut waiting = connect(address).await;
    server.set_limits(Limits { max_connections: 2, ..short_limits() });
    // It has its place at once, and by the new limits it is too slow with its head.
    let mut end = Vec::new();
    timeout(PATIENCE, waiting.read_to_end(&mut end)).await.unwrap().unwrap();
    // The one that was there before may be idle for longer than that.
    assert_eq!(first.send_request(get("/connection")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.connections(), 1);
}
