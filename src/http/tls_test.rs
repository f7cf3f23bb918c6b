//! Tests of certificates: their errors, ALPN, and the swap.

use std::fs;

use nix::{sys::stat::Mode, unistd::mkfifo};

use super::*;
use crate::{Limits, testing::*};

fn refused(files: &TlsFiles) -> String {
    Certificate::read(files, new_year(2030)).unwrap_err().to_string()
}

#[tokio::test]
async fn alpn_chooses_the_protocol() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let tls = Arc::new(Tls::new(certificate(&files)));
    let (_server, address) = start(Limits::default(), Some(tls));

    let stream = tls_client(address, &files, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = http2(stream).await;
    let answer = text(client.send_request(get("/connection")).await.unwrap()).await;
    assert!(answer.contains("tls: true"), "{answer}");

    let stream = tls_client(address, &files, &["http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut client = http1(stream).await;
    let response = client.send_request(get("/connection")).await.unwrap();
    assert_eq!(response.version(), hyper::Version::HTTP_11);

    let mut client = http1(tls_client(address, &files, &[]).await.unwrap()).await;
    assert_eq!(client.send_request(get("/connection")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_reload_changes_new_handshakes_only() {
    let directory = tempfile::tempdir().unwrap();
    let old = certificate_files(directory.path(), (2020, 2040));
    let tls = Arc::new(Tls::new(certificate(&old)));
    let (_server, address) = start(Limits::default(), Some(Arc::clone(&tls)));
    let mut open = http1(tls_client(address, &old, &[]).await.unwrap()).await;
    assert_eq!(open.send_request(get("/connection")).await.unwrap().status(), 200);

    let other = tempfile::tempdir().unwrap();
    let new = certificate_files(other.path(), (2020, 2040));
    tls.replace(certificate(&new));
    assert!(tls_client(address, &old, &[]).await.is_err(), "the old certificate is still used");
    tls_client(address, &new, &[]).await.unwrap();
    open.ready().await.unwrap();
    assert_eq!(open.send_request(get("/connection")).await.unwrap().status(), 200);
}

#[test]
fn it_is_known_when_a_certificate_ends() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let tls = Tls::new(certificate(&files));
    let seconds =
        |at: Option<SystemTime>| at.unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seconds(tls.expires()), 2_208_988_800);
    tls.replace(certificate(&certificate_files(directory.path(), (2020, 2041))));
    assert_eq!(seconds(tls.expires()), 2_240_611_200);
}

#[tokio::test]
async fn a_silent_handshake_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let tls = Arc::new(Tls::new(certificate(&files)));
    let (_server, address) = start(short_limits(), Some(tls));
    let mut silent = connect(address).await;
    assert_eq!(read_to_end(&mut silent).await, "");
}

#[tokio::test]
async fn a_drain_lets_a_handshake_and_its_request_come() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let tls = Arc::new(Tls::new(certificate(&files)));
    let (server, address) = start(Limits::default(), Some(tls));
    let streams = [connect(address).await, connect(address).await];
    let silent = connect(address).await;
    while server.connections() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let drained = server.drain(PATIENCE);
    let clients = async {
        let [first, second] = streams;
        let mut first = http1(tls_client_on(first, &files, &["http/1.1"]).await.unwrap()).await;
        assert_eq!(first.send_request(get("/connection")).await.unwrap().status(), 200);
        let mut second = http2(tls_client_on(second, &files, &["h2"]).await.unwrap()).await;
        assert_eq!(second.send_request(get("/connection")).await.unwrap().status(), 200);
    };
    let (drained, ()) = tokio::join!(drained, clients);
    assert_eq!(drained, crate::Drained { cut: 0 });
    drop(silent);
}

#[tokio::test]
async fn plain_http_to_a_tls_port_is_closed() {
    use tokio::io::AsyncWriteExt;
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let tls = Arc::new(Tls::new(certificate(&files)));
    let (server, address) = start(Limits::default(), Some(tls));
    let mut plain = connect(address).await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(!read_to_end(&mut plain).await.contains("HTTP"));
    server.drain(PATIENCE).await;
}

#[test]
fn a_foreign_key_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let foreign = certificate_files(other.path(), (2020, 2040));
    let message = refused(&TlsFiles { private_key: foreign.private_key.clone(), ..files.clone() });
    assert!(message.contains("does not belong"), "{message}");
    assert!(message.contains(files.certificate.to_str().unwrap()), "{message}");
    assert!(message.contains(foreign.private_key.to_str().unwrap()), "{message}");
}

#[test]
fn time_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let expired = certificate_files(directory.path(), (2020, 2029));
    let message = refused(&expired);
    assert!(message.contains("expired 36") && message.contains("days ago"), "{message}");
    let early = certificate_files(directory.path(), (2031, 2040));
    assert!(refused(&early).contains("not valid yet"));
}

#[test]
fn an_end_can_be_seen_coming() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = certificate(&certificate_files(directory.path(), (2020, 2040)));
    assert!(!certificate.is_expired_at(new_year(2035)));
    assert!(certificate.is_expired_at(new_year(2041)));
}

#[test]
fn unusable_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_files(directory.path(), (2020, 2040));
    let missing = directory.path().join("missing.pem");
    let message = refused(&TlsFiles { certificate: missing.clone(), ..files.clone() });
    assert!(message.contains("cannot read") && message.contains("missing.pem"), "{message}");
    let message = refused(&TlsFiles { private_key: missing, ..files.clone() });
    assert!(message.contains("cannot read") && message.contains("missing.pem"), "{message}");

    // Nobody waits for what somebody may write into it.
    let fifo = directory.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for files in [
        TlsFiles { certificate: fifo.clone(), ..files.clone() },
        TlsFiles { private_key: fifo, ..files.clone() },
    ] {
        let message = refused(&files);
        assert!(message.contains("/fifo: it is no regular file"), "{message}");
    }

    // The two files in each other's place.
    let swapped =
        TlsFiles { certificate: files.private_key.clone(), private_key: files.certificate.clone() };
    assert!(refused(&swapped).contains("no PEM certificate"));
    let twice = TlsFiles { private_key: files.certificate.clone(), ..files.clone() };
    assert!(refused(&twice).contains("no PEM private key"));

    let broken = directory.path().join("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let message = refused(&TlsFiles { certificate: broken, ..files });
    assert!(message.contains("cannot be used"), "{message}");
}
