//! Tests of answers over HTTP/2 to clients that take them slowly or not at all.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::{Version, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::{Limits, Server, activity::Activity, testing::*};

/// A client whose streams have windows of this size.
async fn client(
    address: std::net::SocketAddr,
    window: u32,
) -> conn::http2::SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(connect(address).await);
    let handshake = conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(stream);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn all_end(server: &Server) {
    let mut connections = server.watch_connections();
    let ended = connections.wait_for(|count| *count == 0);
    timeout(PATIENCE, ended).await.expect("the connection is not cut").unwrap();
}

#[tokio::test]
async fn whoever_opens_no_window_is_cut() {
    let (server, address) = start(short_limits(), None);
    let mut client = client(address, 0).await;
    let answer = client.send_request(get("/connection")).await.unwrap();
    assert_eq!(answer.headers()["content-length"].to_str().unwrap().len(), 2);
    // It goes on to ask, for which it needs no window.
    let asking = async {
        while client.send_request(get("/connection")).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("the client is served on and on");
    all_end(&server).await;
    drop(answer);
}

#[tokio::test]
async fn a_slow_reader_gets_its_whole_answer() {
    let limits = Limits { idle_timeout: Duration::from_millis(100), ..short_limits() };
    let (server, address) = start(limits, None);
    let mut client = client(address, 1024 * 1024).await;
    let mut body = client.send_request(get("/large")).await.unwrap().into_body();
    let (mut total, begun) = (0, Instant::now());
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.unwrap() {
        let piece = frame.expect("the answer ends early").into_data().unwrap();
        // Some sixty rests, each less than any of the limits.
        if total / LARGE_BYTES.div_ceil(60) != (total + piece.len()) / LARGE_BYTES.div_ceil(60) {
            sleep(Duration::from_millis(20)).await;
        }
        total += piece.len();
    }
    assert_eq!(total, LARGE_BYTES);
    assert!(begun.elapsed() > Duration::from_secs(1), "it was not slow");
    all_end(&server).await;
}

#[tokio::test]
async fn a_body_comes_in_pieces_over_http2_alone() {
    let data = Bytes::from(vec![7; 2 * PIECE_MAX_BYTES + 1]);
    let sizes = async |version| {
        let guard = Activity::new().begin(version, false);
        let mut answer = Answer::new(Full::new(data.clone()), guard);
        let mut sizes = Vec::new();
        while !answer.is_end_stream() {
            let left = answer.size_hint().exact().unwrap();
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(left - answer.size_hint().exact().unwrap(), piece.len() as u64);
            sizes.push(piece.len());
        }
        sizes
    };
    assert_eq!(sizes(Version::HTTP_11).await, [data.len()]);
    assert_eq!(sizes(Version::HTTP_2).await, [PIECE_MAX_BYTES, PIECE_MAX_BYTES, 1]);
}
