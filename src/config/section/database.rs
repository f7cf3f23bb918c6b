//! `[database]`: which database, and how it is used. Fixed at the start.

use std::{fmt, path::Path, time::Duration};

use crate::{
    reader::{MASK, Reader},
    secret::Secret,
    setting::quote,
};

/// Name of the embedded database's file in the state directory.
const EMBEDDED: &str = "homeserver.db";

/// The URL of a database. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it names the embedded database.
    pub fn is_embedded(&self) -> bool {
        self.0.starts_with("sqlite:")
    }

    /// The file of the embedded database.
    pub fn file(&self) -> Option<&Path> {
        self.0.strip_prefix("sqlite://").map(Path::new)
    }

    /// Whether it says by which name the server comes to the database.
    pub fn names_user(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.contains('@') || self.parameter("user").is_some()
    }

    /// A parameter, its escapes undone; what is no UTF-8 then is as good as not there.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.0.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| unescape(value))
    }

    /// The URL without its password.
    pub fn masked(&self) -> String {
        match password_range(&self.0) {
            Some(range) => {
                format!("{}{MASK}{}", &self.0[..range.start], &self.0[range.end..])
            }
            None => self.0.clone(),
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Where the password stands: after `user:` or as the parameter `password=`.
fn password_range(url: &str) -> Option<std::ops::Range<usize>> {
    let authority_start = url.find("://")? + 3;
    let authority_end =
        url[authority_start..].find(['/', '?']).map_or(url.len(), |at| authority_start + at);
    let authority = &url[authority_start..authority_end];
    if let Some((user, _)) = authority.rsplit_once('@')
        && let Some(colon) = user.find(':')
    {
        return Some(authority_start + colon + 1..authority_start + user.len());
    }
    let query = url.find('?')? + 1;
    let mut start = query;
    for parameter in url[query..].split('&') {
        let end = start + parameter.len();
        if parameter.starts_with("password=") {
            return Some(start + "password=".len()..end);
        }
        start = end + 1;
    }
    None
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.masked())
    }
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// `sqlite:///PATH` or `postgresql://…` as libpq reads it.
    pub url: DatabaseUrl,
    /// The password of the database's user, for those who keep it out of the URL.
    pub password: Option<Secret>,
    /// Greatest number of connections that read.
    pub readers: usize,
    /// Greatest number of reads, and of changes, that wait for their turn.
    pub queue_length: usize,
    /// How long a change waits for a database that is away or locked before it fails.
    pub wait_timeout: Duration,
    /// How long a read may take.
    pub read_timeout: Duration,
}

pub(crate) fn read(reader: &mut Reader<'_>, state_directory: &Path) -> Database {
    reader.fixed();
    let url = read_url(reader, state_directory);
    let password = reader.secret("password", "password_file");
    if password.is_some() && url.is_embedded() {
        reader.refuse("url", "names the embedded database, which has no password");
    } else if password.is_some() && password_range(&url.0).is_some() {
        reader.refuse("url", "holds a password, but there is a password key, too");
    }
    let second = Duration::from_secs(1);
    let long = Duration::from_mins(10);
    Database {
        url,
        password,
        readers: reader.within("readers", 4, 1..=64),
        queue_length: reader.within("queue_length", 4096, 64..=1_000_000),
        wait_timeout: reader.within("wait_timeout", Duration::from_secs(30), second..=long),
        read_timeout: reader.within("read_timeout", Duration::from_secs(30), second..=long),
    }
}

fn read_url(reader: &mut Reader<'_>, state_directory: &Path) -> DatabaseUrl {
    let default = format!("sqlite://{}", state_directory.join(EMBEDDED).display());
    let node = reader.take("url");
    let url = node.and_then(|node| reader.parse::<String>("url", node)).unwrap_or(default);
    let url = DatabaseUrl(url);
    reader.list("url", Some(quote(&url.masked())), node);
    if let Err(reason) = check(&url.0) {
        reader.refuse("url", reason);
    }
    if let Some(node) = node
        && password_range(&url.0).is_some()
    {
        reader.protect("url", &node.origin, "password_file");
        reader.conceal("url", Some(Secret::new(url.0.clone())));
    }
    url
}

fn check(url: &str) -> Result<(), &'static str> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        if path.contains('?') {
            return Err("names a file, and the embedded database takes no parameters");
        }
        return match path.strip_prefix('/') {
            Some(name) if !name.is_empty() => Ok(()),
            _ => Err("expects an absolute path after sqlite://, as in sqlite:///var/lib/x.db"),
        };
    }
    let Some(rest) = url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://"))
    else {
        return Err("expects sqlite:///PATH or postgresql://…");
    };
    check_password(rest)
}

/// Refuses what could be read in two ways, so that no part of a password is taken for something
/// that may be shown.
fn check_password(rest: &str) -> Result<(), &'static str> {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if rest[authority.len()..].contains('@') || authority.matches('@').count() > 1 {
        return Err("has an @ where none can stand; in a password write @ as %40, / as %2F, \
                    ? as %3F, or use `password_file`");
    }
    let (_, query) = rest.split_once('?').unwrap_or_default();
    let names = || query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    if names().any(|name| name.contains('%')) {
        return Err("has a parameter whose name is escaped");
    }
    let in_authority = authority.split_once('@').is_some_and(|(user, _)| user.contains(':'));
    let passwords = usize::from(in_authority) + names().filter(|name| *name == "password").count();
    if passwords > 1 { Err("holds more than one password") } else { Ok(()) }
}
