//! The database's address, as libpq reads it.

use std::path::PathBuf;

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{default_socket_directory, has_network, tls::Tls};
use crate::error::OpenError;

/// Where `PostgreSQL` is unless told otherwise.
const DEFAULT_PORT: u16 = 5432;

/// How to reach the server.
pub(super) struct Address {
    pub(super) config: Config,
    /// How connections are encrypted, if they may be.
    pub(super) tls: Option<Tls>,
    /// The address without its password.
    pub(super) place: String,
}

/// Whether the address names a server that is reached over the network. One that cannot be read
/// names none; opening it says what is wrong.
pub(crate) fn names_network(url: &str) -> bool {
    read(url).is_ok_and(|read| is_network(&read.config))
}

/// Whether the address of a database server can be read; others are none of ours.
pub(crate) fn check(url: &str) -> Result<(), OpenError> {
    let is_ours = ["postgresql://", "postgres://"].iter().any(|scheme| url.starts_with(scheme));
    if is_ours { parse(url).map(|_| ()) } else { Ok(()) }
}

fn is_network(config: &Config) -> bool {
    has_network(config) || !config.get_hostaddrs().is_empty()
}

/// What an address says.
struct Read {
    config: Config,
    mode: String,
    root: Option<PathBuf>,
}

/// Takes out `sslmode` and `sslrootcert`, which the driver does not know.
fn read(url: &str) -> Result<Read, OpenError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = "prefer".to_owned();
    let mut root = None;
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => value.clone_into(&mut mode),
            Some(("sslrootcert", "system")) => {}
            Some(("sslrootcert", value)) => root = Some(PathBuf::from(decode(value)?)),
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    let config = rest
        .parse()
        .map_err(|error: tokio_postgres::Error| OpenError::Url(super::codec::describe(&error)))?;
    Ok(Read { config, mode, root })
}

/// Reads an address. `sslmode` and `sslrootcert` mean what they mean to libpq, but that `verify-ca`
/// looks at the host's name too.
pub(super) fn parse(url: &str) -> Result<Address, OpenError> {
    let Read { mut config, mode, root } = read(url)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match default_socket_directory() {
            Some(directory) => config.host_path(directory),
            None => config.host("localhost"),
        };
    }
    let (ssl, verify) = match mode.as_str() {
        "disable" => (SslMode::Disable, false),
        "allow" | "prefer" => (SslMode::Prefer, false),
        "require" => (SslMode::Require, root.is_some()),
        "verify-ca" | "verify-full" => (SslMode::Require, true),
        other => return Err(OpenError::Url(format!("sslmode {other} is not known"))),
    };
    let ssl = if is_network(&config) { ssl } else { SslMode::Disable };
    config.ssl_mode(ssl);
    let tls = (ssl != SslMode::Disable).then_some(Tls { verify, root });
    let base = url.split('?').next().unwrap_or_default();
    let place = format!("{}{}", without_password(base), socket_of(&config));
    Ok(Address { config, tls, place })
}

/// The unix socket that is meant, which an address need not name; nothing of one on the network.
fn socket_of(config: &Config) -> String {
    let directory = config.get_hosts().iter().find_map(|host| match host {
        Host::Unix(directory) => Some(directory.display()),
        Host::Tcp(_) => None,
    });
    let port = config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
    directory.map(|it| format!(" at {it}/.s.PGSQL.{port}")).unwrap_or_default()
}

/// Undoes `%2F` and the like.
fn decode(text: &str) -> Result<String, OpenError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'%', None) => return Err(OpenError::Url(format!("broken escape in {text}"))),
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| OpenError::Url(format!("{text} is no UTF-8")))
}

/// The address as it may stand in a log.
fn without_password(base: &str) -> String {
    let Some((scheme, rest)) = base.split_once("://") else { return base.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return base.to_owned() };
    let user = user.split_once(':').map_or(user, |(user, _)| user);
    format!("{scheme}://{user}@{host}")
}

#[cfg(test)]
mod tests {
    use super::{Host, SslMode, names_network, parse, without_password};

    #[test]
    fn the_socket_is_told_whoever_names_it() {
        let place = |url: &str| parse(url).unwrap().place;
        let named = place("postgresql:///matrix?host=/run/postgresql");
        assert_eq!(named, "postgresql:///matrix at /run/postgresql/.s.PGSQL.5432");
        let elsewhere = place("postgresql:///matrix?host=/tmp&port=5433&password=secret");
        assert_eq!(elsewhere, "postgresql:///matrix at /tmp/.s.PGSQL.5433");
        let remote = place("postgresql://matrix:secret@db.example.org/matrix?port=1");
        assert_eq!(remote, "postgresql://matrix@db.example.org/matrix");
    }

    #[test]
    fn the_password_is_told_to_nobody() {
        let told = without_password("postgresql://matrix:sec@ret@db.example.org/matrix");
        assert_eq!(told, "postgresql://matrix@db.example.org/matrix");
    }

    #[test]
    fn a_socket_needs_no_encryption() {
        let address = parse("postgresql:///matrix?host=/run/postgresql&user=synapse").unwrap();
        assert!(address.tls.is_none());
        assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(address.config.get_hosts(), [Host::Unix("/run/postgresql".into())]);
        assert_eq!(address.config.get_user(), Some("synapse"));
    }

    #[test]
    fn what_leads_over_the_network_is_told() {
        for url in [
            "postgresql://db.example.org/matrix?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem",
            "postgresql://localhost/matrix",
            "postgresql://127.0.0.1:5432/matrix",
            "postgresql:///matrix?host=db.example.org",
            "postgresql:///matrix?hostaddr=192.0.2.1",
        ] {
            assert!(names_network(url), "{url}");
        }
        for url in [
            "postgresql:///matrix",
            "postgresql:///matrix?host=/run/postgresql&sslmode=disable",
            "postgresql://user@%2Frun%2Fpostgresql/matrix",
            "sqlite:///x.db",
        ] {
            assert!(!names_network(url), "{url}");
        }
    }

    #[test]
    fn certificates_are_verified_when_asked() {
        let url =
            "postgresql://db.example.org/matrix?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem";
        let tls = parse(url).unwrap().tls.unwrap();
        assert!(tls.verify);
        assert_eq!(tls.root.unwrap().to_str(), Some("/etc/ca.pem"));
        assert!(!parse("postgresql://db.example.org/matrix").unwrap().tls.unwrap().verify);
        assert!(parse("postgresql://db.example.org/matrix?sslmode=maybe").is_err());
    }
}
