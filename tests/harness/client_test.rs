//! Tests of the client against a server in the same process.

use std::convert::Infallible;

use http::{Bind, Certificate, Limits, Listener, PassedSockets, Server, Tls, TlsFiles};
use hyper::header::{AUTHORIZATION, HOST};
use serde_json::json;

use super::*;

/// Says what it was asked; `/error` is an error of the specification.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let mut reply = json!({
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "host": request.uri().host().or(header(HOST)),
        "token": header(AUTHORIZATION),
    });
    let is_error = request.uri().path() == "/error";
    if is_error {
        reply = json!({ "errcode": "M_FORBIDDEN", "error": "No." });
    } else {
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        reply["body"] = serde_json::from_slice(&body).unwrap_or_default();
    }
    let mut response = Response::new(Full::new(reply.to_string().into()));
    if is_error {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    Ok(response)
}

fn serve(server: &Server, bind: &Bind, tls: Option<Arc<Tls>>) -> String {
    let listeners = Listener::bind(bind, &mut PassedSockets::none()).expect("a listener");
    let listener = listeners.into_iter().next().expect("one");
    let address = listener.address().to_string();
    let listener = match tls {
        Some(tls) => listener.with_tls(tls),
        None => listener,
    };
    server.serve(listener, tower::service_fn(echo)).expect("a served listener");
    address
}

#[tokio::test]
async fn every_target_is_reached_over_both_protocols() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::new(Limits::default());
    let tcp: Bind = "127.0.0.1:0".parse().expect("an address");
    let unix = directory.path().join("x.sock");
    serve(&server, &Bind::unix(&unix), None);
    let plain = serve(&server, &tcp, None).parse().expect("an address");
    let certificate = TestCertificate::create(directory.path());
    let files = TlsFiles {
        certificate: certificate.certificate.clone(),
        private_key: certificate.private_key.clone(),
    };
    // The time at which the certificate is looked at is of no interest here.
    let now = std::time::UNIX_EPOCH + Duration::from_hours(24 * 365 * 55);
    let read = Certificate::read(&files, now).expect("a certificate");
    let tls = serve(&server, &tcp, Some(Arc::new(Tls::new(read)))).parse().expect("an address");

    for target in [Target::Tcp(plain), Target::Unix(unix), Target::Tls(tls, certificate)] {
        for (protocol, version) in
            [(Protocol::Http1, Version::HTTP_11), (Protocol::Http2, Version::HTTP_2)]
        {
            let client = Client::new(target.clone(), protocol).with_token("secret");
            let reply = client.put("/a?b=c", &json!({ "d": 1 })).await;
            assert_eq!(reply.version, version);
            let expected = json!({
                "method": "PUT", "path": "/a", "host": SERVER_NAME,
                "token": "Bearer secret", "body": { "d": 1 },
            });
            assert_eq!(reply.ok(), expected);
            client.get("/error").await.assert_error(403, "M_FORBIDDEN");
            assert_eq!(client.delete("/b").await.ok()["method"], "DELETE");
        }
    }
    // All clients are gone; what is left of their connections is not waited for.
    server.drain(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_client_connects_again() {
    let server = Server::new(Limits::default());
    let address: SocketAddr = super::super::unused_address();
    let client = Client::new(Target::Tcp(address), Protocol::Http1);
    assert!(client.try_send(Method::GET, "/", None).await.is_err());
    serve(&server, &Bind::Tcp(address), None);
    client.get("/").await.ok();
    server.drain(Duration::from_secs(10)).await;
    assert!(client.try_send(Method::GET, "/", None).await.is_err());
    let server = Server::new(Limits::default());
    serve(&server, &Bind::Tcp(address), None);
    client.get("/").await.ok();
}

#[tokio::test]
#[should_panic(expected = "GET /error")]
async fn an_error_is_no_success() {
    let server = Server::new(Limits::default());
    let address = super::super::unused_address();
    serve(&server, &Bind::Tcp(address), None);
    Client::new(Target::Tcp(address), Protocol::Http1).get("/error").await.ok();
}
