//! `check-connection`: has the running server try to connect to another one, and tells what came of
//! it.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

use super::{ConfigArgument, print, user::call};
use crate::{
    admin::protocol::{CHECK_CONNECTION, CheckConnection as Request, CheckedConnection},
    failure::Failure,
    http_client::Place,
};

/// The port when none is given: a server's name is looked up at `/.well-known/matrix/server` on
/// this one first, and whatever is no server, such as a push gateway, is there as well.
const DEFAULT_PORT: u16 = 443;

#[derive(Args, Debug)]
pub(super) struct CheckConnection {
    /// Where to: HOST, HOST:PORT or, for IPv6, [ADDRESS]:PORT; the port is 443 unless given
    #[arg(value_name = "HOST[:PORT]", value_parser = parse)]
    target: (String, u16),
    /// The admin socket; without this the configuration tells
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &CheckConnection) -> Result<(), Failure> {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => arguments.config.load_public()?.fixed.admin.socket,
    };
    let (host, port) = arguments.target.clone();
    let request = Request { host, port };
    let checked: CheckedConnection = call(&Place::Unix(socket), CHECK_CONNECTION, &request)?;
    for line in lines(&request, &checked) {
        // What a server shows may hold anything.
        print(line.replace(char::is_control, " "))?;
    }
    match checked.error {
        Some(error) => Err(Failure::new(error)),
        None => Ok(()),
    }
}

/// What there is to tell, whatever the outcome.
fn lines(request: &Request, checked: &CheckedConnection) -> Vec<String> {
    let way = match &checked.broker {
        Some(path) => format!("through the broker at {path}"),
        None => "without a broker".to_owned(),
    };
    let mut lines = vec![format!("{} port {}, {way}", request.host, request.port)];
    let addresses = checked.addresses.iter();
    lines.extend(addresses.map(|found| format!("address {}: {}", found.address, found.fate)));
    if let Some(certificate) = &checked.certificate {
        lines.push(format!("certificate for {}", certificate.names.join(", ")));
        lines.push(format!("certificate issued by {}", certificate.issuer));
        let (from, until) = (&certificate.not_before, &certificate.not_after);
        lines.push(format!("certificate valid from {from} until {until}"));
    }
    if let Some(version) = &checked.tls {
        lines.push(format!("{version}: the certificate is trusted"));
    }
    lines
}

/// Reads HOST, HOST:PORT, [ADDRESS]:PORT or an address.
fn parse(text: &str) -> Result<(String, u16), String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address.to_string(), DEFAULT_PORT));
    }
    let wrong = || "write HOST, HOST:PORT or [ADDRESS]:PORT, without https://".to_owned();
    if text.contains('/') {
        return Err(wrong());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => {
            let wrong = |_| format!("{port} is no port");
            (host, port.parse().map_err(wrong)?)
        }
        _ => (text, DEFAULT_PORT),
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match bare {
        Some(address) if address.parse::<IpAddr>().is_ok() => address,
        None if !host.is_empty() && !host.contains([':', '[', ']']) => host,
        _ => return Err(wrong()),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_names_or_addresses_with_a_port_or_without() {
        for (text, host, port) in [
            ("matrix.org", "matrix.org", 443),
            ("matrix.org:8448", "matrix.org", 8448),
            ("192.0.2.1", "192.0.2.1", 443),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("2001:db8::1", "2001:db8::1", 443),
            ("[2001:db8::1]", "2001:db8::1", 443),
            ("[2001:db8::1]:8448", "2001:db8::1", 8448),
        ] {
            assert_eq!(parse(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":443", "https://matrix.org", "a:b", "a:99999", "[a]:1", "a:1:2", "a/b"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["https://matrix.org", "https://matrix.org:8448", "matrix.org/"] {
            assert!(parse(text).unwrap_err().starts_with("write HOST"), "{text}");
        }
    }
}
