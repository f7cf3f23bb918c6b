//! The types that a key can have: how each is read from TOML and written back to it.

use std::{
    fmt::{self, Write},
    path::PathBuf,
    time::Duration,
};

use ruma::{OwnedServerName, OwnedUserId, ServerName, UserId};

use crate::{
    tree::{Node, Origin, Value},
    unit::{self, Size},
};

/// Why a value is refused: the place and the reason, without the key.
pub(crate) struct Fault {
    pub(crate) origin: Origin,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(node: &Node, reason: impl Into<String>) -> Self {
        Self { origin: node.origin.clone(), reason: reason.into() }
    }

    fn kind(node: &Node, wanted: &str) -> Self {
        Self::new(node, format!("expects {wanted}, not {}", node.value.kind()))
    }
}

/// A type of key.
pub(crate) trait Setting: Sized {
    /// Reads it, or says what is wrong.
    fn parse(node: &Node) -> Result<Self, Fault>;

    /// Writes it as TOML.
    fn show(&self) -> String;
}

/// A TOML string on one line, whatever is in it.
pub(crate) fn quote(text: &str) -> String {
    if !text.contains(char::is_control) {
        return toml::Value::from(text).to_string();
    }
    let mut quoted = "\"".to_owned();
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => {
                // Writing into a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

fn text<'a>(node: &'a Node, wanted: &str) -> Result<&'a str, Fault> {
    match &node.value {
        Value::String(text) => Ok(text),
        _ => Err(Fault::kind(node, wanted)),
    }
}

impl Setting for bool {
    fn parse(node: &Node) -> Result<Self, Fault> {
        match node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(Fault::kind(node, "true or false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let text = text(node, "a string")?;
        if text.is_empty() {
            return Err(Fault::new(node, "must not be empty"));
        }
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        quote(self)
    }
}

macro_rules! whole_number {
    ($($kind:ty),*) => {$(
        impl Setting for $kind {
            fn parse(node: &Node) -> Result<Self, Fault> {
                match node.value {
                    Value::Integer(value) => <$kind>::try_from(value).map_err(|_| {
                        let sign = value < 0;
                        Fault::new(node, if sign { "must not be negative" } else { "is too large" })
                    }),
                    // What does not fit into 64 bits was read as this.
                    Value::Float(f64::INFINITY) => Err(Fault::new(node, "is too large")),
                    _ => Err(Fault::kind(node, "an integer")),
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number!(u16, u32, usize);

impl Setting for f64 {
    fn parse(node: &Node) -> Result<Self, Fault> {
        match node.value {
            Value::Float(value) if value.is_finite() => Ok(value),
            Value::Float(_) => Err(Fault::new(node, "must be a finite number")),
            Value::Integer(value) => match i32::try_from(value) {
                Ok(value) => Ok(value.into()),
                Err(_) => Err(Fault::new(node, "is too large")),
            },
            _ => Err(Fault::kind(node, "a number")),
        }
    }

    fn show(&self) -> String {
        toml::Value::from(*self).to_string()
    }
}

impl Setting for Duration {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let wanted = "a duration with units such as \"10s\" or \"1h 30m\"";
        let text = text(node, wanted)?;
        unit::parse_duration(text).ok_or_else(|| {
            Fault::new(node, format!("expects {wanted} (ms, s, m, h, d, w), not \"{text}\""))
        })
    }

    fn show(&self) -> String {
        quote(&unit::show_duration(*self))
    }
}

impl Setting for Size {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let wanted = "a size with its unit such as \"64 MiB\"";
        let text = text(node, wanted)?;
        unit::parse_size(text).ok_or_else(|| {
            Fault::new(node, format!("expects {wanted} (B, KiB, MiB, GiB), not \"{text}\""))
        })
    }

    fn show(&self) -> String {
        quote(&unit::show_size(*self))
    }
}

/// How long something lives; for ever is written `"never"` (expires).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(pub Option<Duration>);

impl Setting for Lifetime {
    fn parse(node: &Node) -> Result<Self, Fault> {
        if node.value == Value::String("never".to_owned()) {
            return Ok(Self(None));
        }
        let duration = Duration::parse(node).map_err(|fault| Fault {
            reason: format!("{}; or \"never\"", fault.reason),
            ..fault
        })?;
        if duration.is_zero() {
            return Err(Fault::new(node, "must be longer than nothing"));
        }
        Ok(Self(Some(duration)))
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| quote("never"), |duration| duration.show())
    }
}

/// An absolute path.
impl Setting for PathBuf {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let path = Self::from(text(node, "a path")?);
        if !path.is_absolute() {
            return Err(Fault::new(node, "expects an absolute path"));
        }
        Ok(path)
    }

    fn show(&self) -> String {
        quote(&self.to_string_lossy())
    }
}

impl Setting for OwnedServerName {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let text = text(node, "a server name such as \"example.org\"")?;
        ServerName::parse(text).map_err(|_| {
            let hint = if text.contains("://") { "; write it without https://" } else { "" };
            Fault::new(node, format!("\"{text}\" is no server name{hint}"))
        })
    }

    fn show(&self) -> String {
        quote(self.as_str())
    }
}

impl Setting for OwnedUserId {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let text = text(node, "a user id")?;
        UserId::parse(text).map_err(|_| Fault::new(node, format!("\"{text}\" is no user id")))
    }

    fn show(&self) -> String {
        quote(self.as_str())
    }
}

/// A base URL over HTTP, without its closing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    pub(crate) fn https(authority: &str) -> Self {
        Self(format!("https://{authority}"))
    }

    /// The URL without its closing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<Self, &'static str> {
        let rest =
            after_scheme(text).ok_or("expects a URL that begins with https:// or http://")?;
        if !begins_with_host(rest) {
            return Err("expects https://HOST/ or https://HOST:PORT/");
        }
        if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err("must have neither a query, nor a fragment, nor blanks");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

fn after_scheme(url: &str) -> Option<&str> {
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))
}

fn begins_with_host(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ServerName::parse(authority).is_ok()
}

/// Whether a browser could be sent there.
pub(crate) fn is_web_address(url: &str) -> bool {
    after_scheme(url).is_some_and(begins_with_host)
        && !url.contains(|it: char| it.is_whitespace() || it.is_control())
}

impl Setting for BaseUrl {
    fn parse(node: &Node) -> Result<Self, Fault> {
        Self::check(text(node, "a URL")?).map_err(|reason| Fault::new(node, reason))
    }

    fn show(&self) -> String {
        quote(&format!("{}/", self.0))
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn parse(node: &Node) -> Result<Self, Fault> {
        match &node.value {
            Value::Array(items) => items.iter().map(T::parse).collect(),
            _ => Err(Fault::kind(node, "an array")),
        }
    }

    fn show(&self) -> String {
        let items: Vec<_> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
    }
}

/// One of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// All of them with their texts.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Word + fmt::Debug> Setting for T {
    fn parse(node: &Node) -> Result<Self, Fault> {
        let all: Vec<_> = T::WORDS.iter().map(|(text, _)| quote(text)).collect();
        let all = all.join(", ");
        let text = text(node, &format!("one of {all}"))?;
        T::WORDS
            .iter()
            .find(|(word, _)| *word == text)
            .map(|&(_, value)| value)
            .ok_or_else(|| Fault::new(node, format!("expects one of {all}, not \"{text}\"")))
    }

    fn show(&self) -> String {
        let word = T::WORDS.iter().find(|(_, value)| value == self).map(|(word, _)| *word);
        quote(word.unwrap_or_default())
    }
}
