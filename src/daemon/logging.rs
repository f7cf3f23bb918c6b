//! Where log lines go: to the journal with fields where standard error leads there, else as text to
//! standard error. The level can be changed while the server runs.

use std::{io::IsTerminal, os::fd::AsFd};

use config::section::log::Format;
use nix::sys::stat::fstat;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    fmt::{FormatFields, format::debug_fn},
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

use crate::{failure::Failure, journal::Readable};

/// What systemd sets to the device and inode of the stream that it connected to the journal.
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// A library that tells several lines at `info` about every event that it allows, which here is
/// the level of what an administrator wants to know. `debug` lets it speak, or its own name.
const TALKATIVE: &str = "ruma_state_res";

/// Changes the level.
#[derive(Clone)]
pub(crate) struct LevelHandle(reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// From now on; a level that is none changes nothing.
    pub(crate) fn set(&self, level: &str) -> Result<(), String> {
        let filter = parse_level(level)?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Reads `log.level`: a level, or levels by part of the program, such as `info,room=debug`.
pub(crate) fn parse_level(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for directive in text.split(',').map(str::trim) {
        let (part, level) = match directive.split_once('=') {
            Some((part, level)) => (Some(part), level),
            None => (None, directive),
        };
        let wrong = || format!("expects error, warn, info, debug, trace or off, not \"{level}\"");
        // The parser takes numbers and nothing at all, too.
        let is_word = level.starts_with(|first: char| first.is_ascii_alphabetic());
        let level = level.parse().ok().filter(|_: &LevelFilter| is_word).ok_or_else(wrong)?;
        targets = match part {
            Some("") => return Err("expects the name of a part before the =".to_owned()),
            Some(part) => targets.with_target(part, level),
            None if level == LevelFilter::INFO && !text.contains(TALKATIVE) => {
                targets.with_default(level).with_target(TALKATIVE, LevelFilter::WARN)
            }
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

/// Begins to log as the server.
pub(crate) fn begin(level: &str, format: Format) -> Result<LevelHandle, Failure> {
    begin_as("matrix-homeserver", level, format)
}

/// Begins to log; `identifier` is what the journal calls this process.
pub(crate) fn begin_as(
    identifier: &str,
    level: &str,
    format: Format,
) -> Result<LevelHandle, Failure> {
    let filter = parse_level(level).map_err(Failure::new)?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let journal = match format {
        Format::Journal => true,
        Format::Text => false,
        Format::Auto => leads_to_journal(),
    };
    let begun = if journal {
        let layer = tracing_journald::layer()
            .map_err(|error| Failure::new(format!("cannot reach the journal: {error}")))?
            // Fields keep the names that they have in the code: MATRIX_USER and its like.
            .with_field_prefix(None)
            .with_priority_mappings(priorities())
            .with_syslog_identifier(identifier.to_owned());
        registry.with(Readable(layer)).try_init()
    } else {
        let terminal = std::io::stderr().is_terminal();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .with_target(true)
            .fmt_fields(fields());
        registry.with(layer).try_init()
    };
    begun.map_err(Failure::new)?;
    Ok(LevelHandle(handle))
}

/// What syslog(3) calls the levels; a journal of notices would hide those that are some.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}

/// Fields as text, but for those that only the journal has a use for.
fn fields() -> impl for<'writer> FormatFields<'writer> {
    debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        "MESSAGE_ID" => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    })
}

/// Whether standard error is the very stream that the service manager connected to the journal, see
/// systemd.exec(5).
pub(crate) fn leads_to_journal() -> bool {
    let Some(stream) = std::env::var(JOURNAL_STREAM).ok() else { return false };
    let Ok(status) = fstat(std::io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", status.st_dev, status.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_event_causes_is_no_news() {
        use tracing::Level;
        let tells = |level: &str, target: &str| {
            parse_level(level).unwrap().would_enable(target, &Level::INFO)
        };
        let library = "ruma_state_res::event_auth";
        for level in ["info", "info,room=debug", "room=debug,info"] {
            assert!(!tells(level, library) && tells(level, "room"), "{level}");
        }
        for level in ["debug", "trace", "info,ruma_state_res=info", "ruma_state_res=info,info"] {
            assert!(tells(level, library), "{level}");
        }
    }

    #[test]
    fn levels_are_words_or_directives() {
        for level in ["info", "debug", "warn,room=trace", "off"] {
            assert!(parse_level(level).is_ok(), "{level}");
        }
        for level in ["loud", "room=loud", "=", "=info", "info,", ""] {
            assert!(parse_level(level).is_err(), "{level}");
        }
    }
}
