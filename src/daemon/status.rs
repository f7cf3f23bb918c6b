//! The line that `systemctl status` shows: what the server is, where it listens, what it runs on,
//! and what an administrator has left to do.
//!
//! Invariant: news are told at once, the number of connections at most once a minute, and when
//! nothing changes nothing is done: an idle machine is not woken.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::notify;

/// How often a number of connections that changes all the time is told.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);
/// How many settings that wait for a restart are named.
const NAMED_SETTINGS: usize = 5;

/// What does not change while the server runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nature {
    /// Where it listens.
    pub(crate) addresses: Vec<String>,
    /// The database's engine.
    pub(crate) engine: &'static str,
    /// How the sandbox stands.
    pub(crate) sandbox: String,
}

/// What came of the last reload.
#[derive(Clone, Debug, Default)]
pub(crate) enum LastReload {
    /// There was none.
    #[default]
    None,
    /// It was applied.
    Applied,
    /// It was refused, and why.
    Refused(String),
}

/// What changes now and then.
#[derive(Clone, Debug, Default)]
struct News {
    reload: LastReload,
    waiting: Vec<String>,
    full: bool,
}

/// The line. Clones mean the same one.
#[derive(Clone)]
pub(crate) struct Status {
    nature: Arc<Nature>,
    news: Arc<Mutex<News>>,
    connections: watch::Receiver<usize>,
}

impl Status {
    pub(crate) fn new(nature: Nature, connections: watch::Receiver<usize>) -> Self {
        Self { nature: Arc::new(nature), news: Arc::default(), connections }
    }

    /// Notes what came of a reload and which settings wait for a restart. It is told with READY.
    pub(crate) fn note_reload(&self, reload: LastReload, waiting: Vec<String>) {
        self.change(|news| {
            news.reload = reload;
            news.waiting = waiting;
        });
    }

    /// Tells whether there is room for the database.
    pub(crate) fn tell_full(&self, full: bool) {
        self.change(|news| news.full = full);
        notify::status(&self.text());
    }

    fn change(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The line as it is now.
    pub(crate) fn text(&self) -> String {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let connections = *self.connections.borrow();
        write(&self.nature, &news, connections)
    }

    /// Tells the number of connections, as long as somebody hears it.
    pub(crate) async fn keep(mut self) {
        while notify::is_heard() && self.connections.changed().await.is_ok() {
            self.connections.borrow_and_update();
            notify::status(&self.text());
            tokio::time::sleep(REFRESH_INTERVAL).await;
        }
    }
}

fn write(nature: &Nature, news: &News, connections: usize) -> String {
    let mut text = String::new();
    if news.full {
        text += "NO ROOM LEFT for the database; ";
    }
    if let LastReload::Refused(reason) = &news.reload {
        // Writing into a string cannot fail.
        let _ = write!(text, "RELOAD REFUSED, the old configuration is in force: {reason}; ");
    }
    if !news.waiting.is_empty() {
        let named = news.waiting.iter().take(NAMED_SETTINGS).cloned().collect::<Vec<_>>();
        let _ = write!(text, "needs a restart: {}", named.join(", "));
        let more = news.waiting.len().saturating_sub(NAMED_SETTINGS);
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text += "; ";
    }
    let Nature { addresses, engine, sandbox } = nature;
    let version = env!("CARGO_PKG_VERSION");
    let reloaded = if matches!(news.reload, LastReload::Applied) { ", reloaded" } else { "" };
    let _ = write!(
        text,
        "version {version} answers requests{reloaded}; listening on {}; {engine}; {sandbox}; \
         {connections} connection{}",
        addresses.join(", "),
        if connections == 1 { "" } else { "s" },
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_comes_first() {
        let nature = Nature {
            addresses: vec!["127.0.0.1:8008".to_owned(), "unix:/run/x".to_owned()],
            engine: "SQLite",
            sandbox: "sandbox closed".to_owned(),
        };
        let quiet = write(&nature, &News::default(), 1);
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "version {version} answers requests; listening on 127.0.0.1:8008, unix:/run/x; \
             SQLite; sandbox closed; 1 connection"
        );
        assert_eq!(quiet, expected);
        let news = News {
            reload: LastReload::Refused("x.toml:4: wrong".to_owned()),
            waiting: ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into(),
            full: true,
        };
        let loud = write(&nature, &news, 0);
        let start = "NO ROOM LEFT for the database; RELOAD REFUSED, the old configuration is in \
                     force: x.toml:4: wrong; needs a restart: a, b, c, d, e and 1 more; version";
        assert!(loud.starts_with(start), "{loud}");
        assert!(loud.ends_with("0 connections"), "{loud}");
    }
}
