//! Tests of the dialer against listeners of this machine.

use std::{collections::HashMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::ResolveFuture;

/// A resolver that knows a few names.
#[derive(Clone, Default)]
struct Names(HashMap<&'static str, Vec<IpAddr>>);

impl Names {
    fn with(mut self, name: &'static str, addresses: &[&str]) -> Self {
        self.0.insert(name, addresses.iter().map(|text| text.parse().unwrap()).collect());
        self
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        let found = self.0.get(host).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn dialer<R: Resolve>(resolver: R, deny: &[&str]) -> SystemDial<R> {
    let deny = deny.iter().map(|text| text.parse().unwrap()).collect();
    let ranges = IpRanges { deny, allow: Vec::new() };
    let settings = DialSettings { ranges, timeout: Duration::from_secs(20) };
    SystemDial::new(Arc::new(ArcSwap::from_pointee(settings)), resolver)
}

fn target(host: &str, port: u16) -> Target {
    Target { host: host.to_owned(), port }
}

/// A listener that greets, and its port.
async fn greeter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"hello").await.unwrap();
        }
    });
    port
}

async fn greeting(mut dialled: Dialled) -> String {
    let mut text = String::new();
    dialled.stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn connects_to_names_and_addresses() {
    let port = greeter().await;
    let dialer = dialer(Names::default().with("server.test", &["127.0.0.1"]), &[]);
    for host in ["server.test", "127.0.0.1"] {
        let dialled = dialer.dial(&target(host, port)).await.unwrap();
        assert_eq!(dialled.address, SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(greeting(dialled).await, "hello");
    }
}

#[tokio::test]
async fn the_system_resolves_names() {
    let port = greeter().await;
    let dialled = dialer(SystemResolver, &[]).dial(&target("localhost", port)).await.unwrap();
    assert!(dialled.address.ip().is_loopback());
}

#[tokio::test]
async fn denied_addresses_are_not_tried_however_they_are_spelled() {
    let port = greeter().await;
    let names = Names::default()
        .with("inside.test", &["127.0.0.1", "::ffff:127.0.0.1"])
        .with("mixed.test", &["127.0.0.2", "127.0.0.1"]);
    let all = dialer(names.clone(), &["127.0.0.0/8"]);
    for host in ["inside.test", "mixed.test", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        let error = all.dial(&target(host, port)).await.unwrap_err();
        assert!(matches!(error, DialError::Denied { .. }), "{error}");
    }
    let one = dialer(names, &["127.0.0.2"]);
    let dialled = one.dial(&target("mixed.test", port)).await.unwrap();
    assert_eq!(dialled.address.ip().to_string(), "127.0.0.1");
}

#[tokio::test]
async fn a_reload_changes_the_ranges() {
    let port = greeter().await;
    let settings = Arc::new(ArcSwap::from_pointee(DialSettings::default()));
    let dialer = SystemDial::new(Arc::clone(&settings), SystemResolver);
    dialer.dial(&target("127.0.0.1", port)).await.unwrap();
    let ranges = IpRanges { deny: vec!["127.0.0.0/8".parse().unwrap()], allow: Vec::new() };
    settings.store(Arc::new(DialSettings { ranges, ..DialSettings::default() }));
    assert!(dialer.dial(&target("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    let port = greeter().await;
    // Nobody listens on ::1 at this port.
    let names = Names::default().with("server.test", &["::1", "127.0.0.1"]);
    let dialled = dialer(names, &[]).dial(&target("server.test", port)).await.unwrap();
    assert_eq!(greeting(dialled).await, "hello");
}

#[tokio::test]
async fn failures_say_what_failed() {
    let names = Names::default().with("empty.test", &[]);
    let dialer = dialer(names, &[]);
    let error = dialer.dial(&target("unknown.test", 1)).await.unwrap_err().to_string();
    assert_eq!(error, "cannot resolve unknown.test: no such name");
    let error = dialer.dial(&target("empty.test", 1)).await.unwrap_err().to_string();
    assert!(error.contains("no address"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = dialer.dial(&target("127.0.0.1", port)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn time_is_limited() {
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _host: &'a str) -> ResolveFuture<'a> {
            Box::pin(std::future::pending())
        }
    }
    let timeout = Duration::from_secs(1);
    let settings = DialSettings { timeout, ..DialSettings::default() };
    let dialer = SystemDial::new(Arc::new(ArcSwap::from_pointee(settings)), Never);
    let error = dialer.dial(&target("server.test", 1)).await.unwrap_err();
    // Whoever reads it looks at the resolver, and not at the server.
    assert_eq!(error.to_string(), "cannot resolve server.test: no answer within 1 seconds");
}
