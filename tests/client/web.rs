//! "Web Browser Clients", "API Standards": what a browser needs, and answers to nonsense.

use std::{net::SocketAddr, time::Duration};

use hyper::Method;
use serde_json::Value;
use tests::harness::{Server, Setup};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::V3;

/// Sends bytes as they are and reads to the end.
pub(super) async fn exchange(address: SocketAddr, request: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(Duration::from_mins(1), talk).await.expect("an answer in time");
    String::from_utf8(answer.expect("the connection holds")).expect("text")
}

#[tokio::test]
async fn pages_of_any_origin_may_ask() {
    let server = Server::start(Setup::default()).await;
    let client = server.client();
    let whoami = format!("{V3}/account/whoami");
    for path in ["/_matrix/client/versions", &whoami, "/_matrix/client/v3/unknown", "/"] {
        let preflight = client.try_send(Method::OPTIONS, path, None).await.expect("an answer");
        assert!(preflight.status.is_success(), "{path}: {}", preflight.status);
        let allowed = preflight.headers["access-control-allow-headers"].to_str();
        assert!(allowed.is_ok_and(|allowed| allowed.contains("Authorization")));
        let reply = client.get(path).await;
        for headers in [&preflight.headers, &reply.headers] {
            assert_eq!(headers["access-control-allow-origin"], "*", "{path}");
        }
    }
}

#[tokio::test]
async fn nonsense_is_answered_as_the_specification_says() {
    let server = Server::start(Setup::default()).await;
    let client = server.client();
    let error = |body: &Value| body["errcode"].as_str().map(str::to_owned);
    for (method, path, status, code) in [
        (Method::GET, "/_matrix/unknown", 404, "M_UNRECOGNIZED"),
        (Method::GET, "/_matrix/client/v1/unknown", 404, "M_UNRECOGNIZED"),
        (Method::PUT, "/_matrix/client/v3/login", 405, "M_UNRECOGNIZED"),
        (Method::GET, "/_matrix/client/v3/sync", 401, "M_MISSING_TOKEN"),
        (Method::POST, "/_matrix/client/v3/login", 400, "M_MISSING_PARAM"),
        (Method::GET, "/_matrix/client/v3/profile/%ff", 400, "M_INVALID_PARAM"),
    ] {
        let reply = client.try_send(method.clone(), path, None).await.expect("an answer");
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(error(&reply.body).as_deref(), Some(code), "{method} {path}");
    }
    // A body that says it will be too large is refused before it is sent.
    let request = format!(
        "POST {V3}/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    let answer = exchange(server.address(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("M_TOO_LARGE"), "{answer}");
}
