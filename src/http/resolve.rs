//! From a name to its addresses, by the operating system.
//!
//! Invariant: a name stands for itself, from the root on. Names come from other servers' users and
//! from what they publish, and the search domains of resolv.conf(5) belong to the people who work
//! at this machine: a name that does not exist must not become another one below such a domain, nor
//! a name without a dot one of the machines beside us.
//!
//! A dot at the end says so to the resolver, but hosts(5) is compared letter by letter, so that
//! this file is read here.

use std::{io, net::IpAddr, path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::{
    fs::File,
    io::{AsyncReadExt, BufReader},
};

/// Names that the administrator has given to addresses, ahead of any other source.
const HOSTS: &str = "/etc/hosts";
/// What is read of it; lists that keep away advertisements are the long ones.
const HOSTS_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What [`Resolve::resolve`] gives.
pub type ResolveFuture<'a> = BoxFuture<'a, io::Result<Vec<IpAddr>>>;

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses, the preferred one first.
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a>;
}

impl<R: Resolve + ?Sized> Resolve for Arc<R> {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        (**self).resolve(host)
    }
}

/// The operating system's resolver: `/etc/hosts`, then `getaddrinfo` with DNS and what else is set
/// up. It reads resolv.conf(5) again whenever that has changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        Box::pin(async move {
            let name = host.strip_suffix('.').unwrap_or(host);
            let listed = addresses_in(Path::new(HOSTS), name).await;
            if !listed.is_empty() {
                return Ok(listed);
            }
            let from_the_root = format!("{name}.");
            let found = tokio::net::lookup_host((from_the_root.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The addresses of a name in a hosts file; without the file there are none.
async fn addresses_in(path: &Path, name: &str) -> Vec<IpAddr> {
    let read = async {
        let mut bytes = Vec::new();
        let file = BufReader::new(File::open(path).await?);
        file.take(HOSTS_MAX_BYTES).read_to_end(&mut bytes).await?;
        io::Result::Ok(bytes)
    };
    match read.await {
        Ok(bytes) => listed(&String::from_utf8_lossy(&bytes), name),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "cannot read the names of hosts");
            Vec::new()
        }
    }
}

/// The addresses of the lines that name `name`, which has no dot at its end.
fn listed(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let named = lines.filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        // An address with a zone is of no use to somebody far away.
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "127.0.0.1 localhost\n# 192.0.2.9 hidden.test\n192.0.2.1\tone.test one # \
                         two.test\n2001:db8::1 One.Test\nfe80::1%eth0 one.test\nnonsense one.test";

    fn found(name: &str) -> Vec<String> {
        listed(LINES, name).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_hosts_file_names_addresses() {
        assert_eq!(found("one.test"), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(found("ONE"), ["192.0.2.1"]);
        for nobody in ["two.test", "hidden.test", "", "192.0.2.1", "ne.test"] {
            assert_eq!(found(nobody), [""; 0], "{nobody}");
        }
    }

    #[tokio::test]
    async fn a_hosts_file_is_read_each_time_and_need_not_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        assert!(addresses_in(&path, "one.test").await.is_empty());
        for line in ["192.0.2.1 one.test", "192.0.2.2 one.test"] {
            std::fs::write(&path, line).unwrap();
            let found = addresses_in(&path, "one.test").await;
            assert!(line.starts_with(&found[0].to_string()), "{found:?}");
        }
    }

    #[tokio::test]
    async fn an_address_is_no_name() {
        // getaddrinfo(3) would take these for 127.0.0.1.
        for spelled in ["127.1", "0x7f000001", "2130706433"] {
            assert!(SystemResolver.resolve(spelled).await.is_err(), "{spelled}");
        }
    }
}
