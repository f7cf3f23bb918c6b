//! "Rate limiting", and whom the limits count behind a proxy.

use std::{fs, net::SocketAddr, time::Duration};

use hyper::StatusCode;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::harness::{Reply, Server, Setup, TestUser, unused_address};

use super::{V3, chat, text, web::exchange};

const ONE_MESSAGE: &str = "[rate_limits]\nenabled = true\n\
                           message = { per_second = 0.001, burst = 1 }\n";

#[tokio::test]
async fn a_reload_sets_other_limits() {
    let (server, alice, _, room) = chat(Setup::default()).await;
    let mut sent = 0;
    let mut send = async || -> Reply {
        sent += 1;
        let path = format!("{V3}/rooms/{room}/send/m.room.message/t{sent}");
        alice.put(&path, &json!({ "body": "x" })).await
    };
    for _ in 0..5 {
        send().await.ok();
    }
    let fragment = server.directory().join("conf.d/60-limits.toml");
    fs::write(&fragment, ONE_MESSAGE).expect("the directory is ours");
    server.signal(Signal::SIGHUP);
    let mut tries = 0;
    let limited = loop {
        let reply = send().await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            break reply;
        }
        tries += 1;
        assert!(tries < 200, "the reload sets no limit; the log:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    limited.assert_error(429, "M_LIMIT_EXCEEDED");
    assert!(limited.headers.contains_key("retry-after"));
    assert!(limited.body["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0));
}

/// What the device list says about where a log-in came from.
async fn seen_at(address: SocketAddr, user: &TestUser) -> Value {
    let body = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user.user_id },
        "password": user.password,
    });
    let body = body.to_string();
    let request = format!(
        "POST {V3}/login HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
         X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, &request).await;
    let (_, json) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let session: Value = serde_json::from_str(json).expect("JSON");
    let device = text(&session["device_id"]);
    user.get(&format!("{V3}/devices/{device}")).await.ok()["last_seen_ip"].clone()
}

#[tokio::test]
async fn only_a_trusted_proxy_names_the_client() {
    let proxied = unused_address();
    let listener =
        format!("bind = [\"{proxied}\"]\nresources = [\"client\"]\nx_forwarded = true\n");
    let server = Server::start(Setup::with_listener(listener)).await;
    let user = server.register_user("alice").await;
    assert_eq!(seen_at(proxied, &user).await, "192.0.2.7");
    let address = seen_at(server.address(), &user).await;
    assert!(address.as_str().is_some_and(|address| address.starts_with("127.")), "{address}");
}
