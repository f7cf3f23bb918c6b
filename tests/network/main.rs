//! The built server on the network: every kind of listener, both HTTP versions, clients that are
//! slow, greedy or silent, and what an administrator reads when a listener cannot be had.

mod activation;

use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{Method, Version};
use nix::sys::signal::Signal;
use serde_json::json;
use tests::harness::{Client, Protocol, Server, Setup, Target, TestCertificate};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const VERSIONS: &str = "/_matrix/client/versions";
/// Longer than the server's own limits on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    let _reset_is_an_end_too = read.expect("the server does not close the connection");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn both_http_versions_are_served_on_one_port() {
    let server = Server::start(Setup::default()).await;
    let reply = server.client().get(VERSIONS).await;
    assert_eq!(reply.version, Version::HTTP_11);
    assert!(reply.ok()["versions"].is_array());
    let reply = server.http2_client().get(VERSIONS).await;
    assert_eq!(reply.version, Version::HTTP_2);
    assert!(reply.ok()["versions"].is_array());
}

#[tokio::test]
async fn chats_over_http2() {
    let server = Server::start(Setup::default()).await;
    let alice = server.register_user("alice").await;
    let client = server.http2_client().with_token(&alice.access_token);
    let created = client.post("/_matrix/client/v3/createRoom", &json!({})).await.ok();
    let room = created["room_id"].as_str().expect("a room");
    let sent = (0..20).map(|number| {
        let client = &client;
        async move {
            let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{number}");
            let content = json!({ "msgtype": "m.text", "body": format!("message {number}") });
            client.put(&path, &content).await.ok()["event_id"].as_str().map(str::to_owned)
        }
    });
    let mut events = Vec::new();
    for event in futures_util::future::join_all(sent).await {
        events.push(event.expect("an event id"));
    }
    events.sort();
    events.dedup();
    assert_eq!(events.len(), 20);
}

#[tokio::test]
async fn a_killed_server_has_what_it_acknowledged() {
    for setup in [Setup::default(), Setup::postgresql()] {
        let mut server = Server::start(setup).await;
        let alice = server.register_user("alice").await;
        let created = alice.post("/_matrix/client/v3/createRoom", &json!({})).await.ok();
        let room =
            format!("/_matrix/client/v3/rooms/{}", created["room_id"].as_str().expect("a room"));
        let content = json!({ "msgtype": "m.text", "body": "before the end" });
        let sent = alice.put(&format!("{room}/send/m.room.message/1"), &content).await.ok();
        server.restart().await;
        let event = sent["event_id"].as_str().expect("an event id");
        let found = alice.get(&format!("{room}/event/{event}")).await.ok();
        assert_eq!(found["content"], content);
    }
}

#[tokio::test]
async fn unix_sockets_are_served() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("client.sock");
    let listener =
        format!("bind = [\"unix:{}\"]\nresources = [\"client\", \"health\"]", path.display());
    let mut server = Server::start(Setup::with_listener(listener)).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = Client::new(Target::Unix(path.clone()), protocol);
        assert!(client.get(VERSIONS).await.ok()["versions"].is_array());
    }
    // A killed server leaves the file behind; the next one takes its place.
    server.kill();
    assert!(path.exists());
    server.start_again().await;
    let client = Client::new(Target::Unix(path.clone()), Protocol::Http1);
    client.get(VERSIONS).await.ok();
    assert!(server.stop().await.success());
    assert!(!path.exists(), "a server that is stopped removes its socket");
}

#[tokio::test]
async fn tls_is_served_with_both_http_versions() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certificate = TestCertificate::create(directory.path());
    let address = tests::harness::unused_address();
    let listener = format!(
        "bind = [\"{address}\"]\nresources = [\"client\", \"health\"]\n\
         tls = {{ certificate = \"{}\", private_key = \"{}\" }}",
        certificate.certificate.display(),
        certificate.private_key.display(),
    );
    let _server = Server::start(Setup::with_listener(listener)).await;
    for (protocol, version) in
        [(Protocol::Http1, Version::HTTP_11), (Protocol::Http2, Version::HTTP_2)]
    {
        let client = Client::new(Target::Tls(address, certificate.clone()), protocol);
        let reply = client.get(VERSIONS).await;
        assert_eq!(reply.version, version);
        assert!(reply.ok()["versions"].is_array());
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_after_a_reload() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let old = TestCertificate::create(directory.path());
    let address = tests::harness::unused_address();
    let listener = format!(
        "bind = [\"{address}\"]\nresources = [\"client\"]\n\
         tls = {{ certificate = \"{}\", private_key = \"{}\" }}",
        old.certificate.display(),
        old.private_key.display(),
    );
    let server = Server::start(Setup::with_listener(listener)).await;
    let trusting = |certificate: &TestCertificate| {
        Client::new(Target::Tls(address, certificate.clone()), Protocol::Http1)
    };
    trusting(&old).get(VERSIONS).await.ok();

    // A key without its certificate is refused, and the old pair stays in force.
    std::fs::write(&old.private_key, "no key").expect("the file is ours");
    server.signal(Signal::SIGHUP);
    let start = Instant::now();
    while !server.log().contains("private-key.pem") {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    trusting(&old).get(VERSIONS).await.ok();

    let new = TestCertificate::create(directory.path());
    server.signal(Signal::SIGHUP);
    let start = Instant::now();
    while trusting(&new).try_send(Method::GET, VERSIONS, None).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(trusting(&old).try_send(Method::GET, VERSIONS, None).await.is_err());
}

#[tokio::test]
async fn oversize_bodies_are_refused_with_the_specified_error() {
    let server = Server::start(Setup::default()).await;
    let alice = server.register_user("alice").await;
    let body = Bytes::from(format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024 * 1024)));
    for client in [server.client(), server.http2_client()] {
        let client = client.with_token(&alice.access_token);
        let path = "/_matrix/client/v3/createRoom";
        let sent = client.try_send(Method::POST, path, Some(body.clone())).await;
        let reply = sent.unwrap_or_else(|error| panic!("no answer: {}", error.0));
        reply.assert_error(413, "M_TOO_LARGE");
        // And the server is none the worse for it.
        client.get("/_matrix/client/v3/account/whoami").await.ok();
    }
}

#[tokio::test]
async fn slow_clients_are_cut_and_long_polls_are_not() {
    // The long poll lasts several times as long as a connection may be idle.
    let limits =
        "[limits]\nheader_timeout = \"2s\"\nbody_timeout = \"2s\"\nidle_timeout = \"2s\"\n";
    let server = Server::start(Setup::with_fragment(limits)).await;
    let alice = server.register_user("alice").await;
    let since = alice.get("/_matrix/client/v3/sync").await.ok()["next_batch"].clone();
    let since = since.as_str().expect("a token").to_owned();
    let polling = tokio::spawn(async move {
        let start = Instant::now();
        let path = format!("/_matrix/client/v3/sync?timeout=12000&since={since}");
        let reply = alice.get(&path).await;
        (reply, start.elapsed())
    });

    let mut silent = TcpStream::connect(server.address()).await.expect("a connection");
    let mut slow = TcpStream::connect(server.address()).await.expect("a connection");
    slow.write_all(b"GET /_matrix/client/versions HTTP/1.1\r\nHost: a\r\n").await.expect("a head");
    let mut slow_body = TcpStream::connect(server.address()).await.expect("a connection");
    let head = "POST /_matrix/client/v3/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
    slow_body.write_all(head.as_bytes()).await.expect("a head");

    assert_eq!(read_to_end(&mut silent).await, "");
    assert!(!read_to_end(&mut slow).await.contains("200 OK"));
    assert!(read_to_end(&mut slow_body).await.starts_with("HTTP/1.1 408 "));
    // Each was cut while the long poll went on.
    assert!(!polling.is_finished());

    let (reply, waited) = polling.await.expect("the long poll");
    reply.ok();
    assert!(waited >= Duration::from_secs(11), "the long poll ended after {waited:?}");
}

#[tokio::test]
async fn oversize_heads_are_refused() {
    let server = Server::start(Setup::default()).await;
    let mut client = TcpStream::connect(server.address()).await.expect("a connection");
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000));
    client.write_all(head.as_bytes()).await.expect("a head");
    let answer = read_to_end(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight() {
    let mut server = Server::start(Setup::default()).await;
    let alice = server.register_user("alice").await;
    let since = alice.get("/_matrix/client/v3/sync").await.ok()["next_batch"].clone();
    let since = since.as_str().expect("a token").to_owned();
    let polling = tokio::spawn(async move {
        let path = format!("/_matrix/client/v3/sync?timeout=600000&since={since}");
        alice.try_send(Method::GET, &path, None).await
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    assert!(server.stop().await.success());
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    // An answer or an end of the connection, but no hanging.
    timeout(PATIENCE, polling).await.expect("the long poll hangs").expect("a task").ok();
}

/// What a server that cannot start says, which must be one line.
async fn complaint(listener: String) -> String {
    let (status, log) = Server::start_failing(&Setup::with_listener(listener)).await;
    assert!(!status.success());
    assert_eq!(log.trim().lines().count(), 1, "{log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

#[tokio::test]
async fn a_listener_that_cannot_be_had_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = complaint(format!("bind = [\"{address}\"]\nresources = [\"client\"]")).await;
    assert!(said.contains(&address) && said.contains("in use"), "{said}");

    let bind = "bind = [\"127.0.0.1:8448\"]\nresources = [\"client\"]";
    let tls = "tls = { certificate = \"/missing.pem\", private_key = \"/missing.key\" }";
    let said = complaint(format!("{bind}\n{tls}")).await;
    assert!(said.contains("/missing.pem"), "{said}");
}
