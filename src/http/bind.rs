//! Where to listen, as an administrator writes it.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::Error;

/// Longest path of a unix socket in bytes; one of `sun_path`'s 108 is the closing zero.
const UNIX_PATH_MAX_BYTES: usize = 107;

/// One place to listen at.
///
/// Texts: `127.0.0.1:8008`, `[::1]:8008`, `unix:/run/matrix-homeserver/client.sock` (mode 666, as
/// in Synapse), `unix:/run/x.sock?mode=660`, and `passed:client` for a socket that the service
/// manager holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// A TCP address. An IPv6 address takes IPv6 alone, so that `[::]` and `0.0.0.0` can stand
    /// side by side.
    Tcp(SocketAddr),
    /// A unix stream socket.
    Unix {
        /// Absolute path of the socket.
        path: PathBuf,
        /// Permission bits of the socket's file, whatever the umask.
        mode: u32,
    },
    /// All sockets that the service manager passed under this `FileDescriptorName=`.
    Passed {
        /// The name.
        name: String,
    },
}

impl Bind {
    /// Permission bits of a unix socket when nothing else is said: everybody who can reach the
    /// directory may connect, as behind a TCP port.
    pub const DEFAULT_UNIX_MODE: u32 = 0o666;

    /// A unix socket with the usual mode.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix { path: path.into(), mode: Self::DEFAULT_UNIX_MODE }
    }
}

impl FromStr for Bind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = if let Some(rest) = text.strip_prefix("unix:") {
            parse_unix(rest)
        } else if let Some(name) = text.strip_prefix("passed:") {
            parse_passed(name)
        } else {
            parse_tcp(text)
        };
        parsed.map_err(|reason| Error::Address { text: text.to_owned(), reason })
    }
}

fn parse_unix(rest: &str) -> Result<Bind, &'static str> {
    let (path, mode) = match rest.split_once('?') {
        None => (rest, Bind::DEFAULT_UNIX_MODE),
        Some((path, option)) => {
            let digits = option.strip_prefix("mode=").ok_or("after ? only mode=… may stand")?;
            (path, parse_mode(digits)?)
        }
    };
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err("the path of a unix socket must be absolute");
    }
    if path.as_os_str().len() > UNIX_PATH_MAX_BYTES {
        return Err("the path of a unix socket may have 107 bytes at most");
    }
    Ok(Bind::Unix { path: path.to_owned(), mode })
}

fn parse_mode(digits: &str) -> Result<u32, &'static str> {
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o777 && !digits.starts_with('+') => Ok(mode),
        _ => Err("a mode is three octal digits, such as 660"),
    }
}

fn parse_passed(name: &str) -> Result<Bind, &'static str> {
    // systemd.socket(5): ASCII without control characters and colons, 255 at most.
    let fits = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b':';
    if name.is_empty() || name.len() > 255 || !name.bytes().all(fits) {
        return Err("passed: needs the FileDescriptorName= of the socket unit");
    }
    Ok(Bind::Passed { name: name.to_owned() })
}

fn parse_tcp(text: &str) -> Result<Bind, &'static str> {
    if let Ok(address) = text.parse() {
        return Ok(Bind::Tcp(address));
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err("the port is missing; write ADDRESS:PORT, an IPv6 address in brackets");
    }
    if text.starts_with('/') {
        return Err("a unix socket is written unix:/PATH");
    }
    Err("write ADDRESS:PORT with an IP address, [ADDRESS]:PORT for IPv6, or unix:/PATH")
}

impl fmt::Display for Bind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix { path, mode: Self::DEFAULT_UNIX_MODE } => {
                write!(formatter, "unix:{}", path.display())
            }
            Self::Unix { path, mode } => {
                write!(formatter, "unix:{}?mode={mode:03o}", path.display())
            }
            Self::Passed { name } => write!(formatter, "passed:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        text.parse::<Bind>().unwrap_err().to_string()
    }

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "127.0.0.1:8008",
            "[::1]:8008",
            "0.0.0.0:0",
            "unix:/run/x.sock",
            "unix:/run/x.sock?mode=660",
            "passed:client",
        ] {
            assert_eq!(text.parse::<Bind>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn unix_sockets_have_a_mode() {
        assert_eq!(
            "unix:/a?mode=600".parse::<Bind>().unwrap(),
            Bind::Unix { path: "/a".into(), mode: 0o600 }
        );
        assert_eq!("unix:/a".parse::<Bind>().unwrap(), Bind::unix("/a"));
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(reason("127.0.0.1").contains("port is missing"));
        assert!(reason("::1").contains("port is missing"));
        assert!(reason("localhost:80").contains("IP address"));
        assert!(reason("127.0.0.1:99999").contains("IP address"));
        assert!(reason("").contains("ADDRESS:PORT"));
        assert!(reason("/run/x.sock").contains("unix:/PATH"));
        assert!(reason("unix:x.sock").contains("absolute"));
        assert!(reason("unix:/x?mode=888").contains("octal"));
        assert!(reason("unix:/x?mode=+66").contains("octal"));
        assert!(reason("unix:/x?mode=7777").contains("octal"));
        assert!(reason("unix:/x?owner=a").contains("mode"));
        assert!(reason(&format!("unix:/{}", "x".repeat(107))).contains("107"));
        assert!(reason("passed:").contains("FileDescriptorName"));
        assert!(reason("passed:a:b").contains("FileDescriptorName"));
    }
}
