//! The client's address behind a reverse proxy.

use std::net::{IpAddr, SocketAddr};

use hyper::{HeaderMap, header::HeaderName};

use crate::Connection;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: the peer's, or what the proxy before us says if it is `trusted`.
///
/// Taken is the last address of `X-Forwarded-For`, the one that the trusted proxy added: those
/// before it came with the client's own request and may be invented. `None` over a unix socket
/// without (usable) header.
pub fn client_address(
    connection: &Connection,
    headers: &HeaderMap,
    trusted: bool,
) -> Option<IpAddr> {
    let forwarded = if trusted { last_forwarded(headers) } else { None };
    forwarded.or_else(|| connection.peer.address())
}

fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    let text = last.rsplit(',').next().unwrap_or(last).trim();
    // Some proxies add the port, and brackets with it.
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Peer;

    fn asked(values: &[&str], trusted: bool) -> Option<String> {
        let peer = Peer::Tcp("10.0.0.1:5000".parse().unwrap());
        let connection = Connection { peer, tls: false, listener: 0 };
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("X-Forwarded-For", value.parse().unwrap());
        }
        client_address(&connection, &headers, trusted).map(|address| address.to_string())
    }

    #[test]
    fn takes_what_the_proxy_added() {
        assert_eq!(asked(&["192.0.2.7"], true).unwrap(), "192.0.2.7");
        assert_eq!(asked(&["6.6.6.6, 192.0.2.7"], true).unwrap(), "192.0.2.7");
        assert_eq!(asked(&["6.6.6.6", "192.0.2.7"], true).unwrap(), "192.0.2.7");
        assert_eq!(asked(&["[2001:db8::1]:443"], true).unwrap(), "2001:db8::1");
        assert_eq!(asked(&["[2001:db8::1]"], true).unwrap(), "2001:db8::1");
        assert_eq!(asked(&["::ffff:192.0.2.7"], true).unwrap(), "192.0.2.7");
    }

    #[test]
    fn falls_back_to_the_peer() {
        assert_eq!(asked(&["192.0.2.7"], false).unwrap(), "10.0.0.1");
        assert_eq!(asked(&["unknown"], true).unwrap(), "10.0.0.1");
        assert_eq!(asked(&[], true).unwrap(), "10.0.0.1");
    }

    #[test]
    fn a_unix_peer_has_no_address() {
        let peer = Peer::Unix { uid: 0, gid: 0, pid: None };
        let connection = Connection { peer, tls: false, listener: 0 };
        assert_eq!(client_address(&connection, &HeaderMap::new(), true), None);
    }
}
