//! The families and where their numbers come from. matrix-homeserver(8), METRICS, lists them.

use std::time::UNIX_EPOCH;

use client_api::RequestStats;
use room::EventStats;
use store::{CacheStats, Opened};

use super::{
    Inner,
    process::Process,
    text::{
        Kind::{Counter, Gauge},
        Seconds, Text,
    },
};

impl Inner {
    /// All families.
    pub(super) async fn text(&self) -> String {
        let mut text = Text::default();
        self.server(&mut text);
        process(&mut text, &Process::now());
        self.connections(&mut text);
        requests(&mut text, &self.sources.state.requests());
        self.users(&mut text);
        self.rooms(&mut text);
        self.store(&mut text);
        let mut size = text.family("database_size_bytes", Gauge, "Size of the database.");
        if let Some(bytes) = self.size().await {
            size.is(bytes);
        }
        text.finish()
    }

    fn server(&self, text: &mut Text) {
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("database", self.sources.engine)];
        text.family("build_info", Gauge, "Always 1; what runs.").with(&labels, 1);
        let help = "When the server started, since the Unix epoch.";
        let started = Seconds(self.started_ms.saturating_mul(1000));
        text.family("process_start_time_seconds", Gauge, help).is(started);
        let reloads = &self.sources.reloads;
        let help = "Reloads of the configuration by their outcome.";
        let mut family = text.family("reloads_total", Counter, help);
        family.with(&[("outcome", "applied")], reloads.applied.get());
        family.with(&[("outcome", "refused")], reloads.refused.get());
        let help = "Whether the last reload was applied; 1 if there was none.";
        let failing = reloads.failing.load(std::sync::atomic::Ordering::Relaxed);
        text.family("last_reload_successful", Gauge, help).is(u8::from(!failing));
        let help = "When a listener's certificate expires, since the Unix epoch.";
        let mut family = text.family("certificate_expiry_seconds", Gauge, help);
        let mut told = Vec::new();
        for tls in &self.sources.certificates {
            let file = tls.file().display().to_string();
            let Some(expires) = tls.expires().filter(|_| !told.contains(&file)) else { continue };
            let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            family.with(&[("certificate", &file)], seconds);
            told.push(file);
        }
    }

    fn connections(&self, text: &mut Text) {
        let all = self.sources.traffic.read();
        let mut family = |name, kind, help, value: fn(&http::ListenerStats) -> u64| {
            let mut family = text.family(name, kind, help);
            let mut told = Vec::new();
            for listener in &all {
                // Two sockets without a name are one to whoever reads this.
                let same = all.iter().filter(|other| other.address == listener.address);
                if !told.contains(&&listener.address) {
                    family.with(&[("listener", &listener.address)], same.map(value).sum::<u64>());
                    told.push(&listener.address);
                }
            }
        };
        let help = "Connections that were accepted.";
        family("connections_accepted_total", Counter, help, |one| one.accepted);
        let open = |one: &http::ListenerStats| u64::try_from(one.open).unwrap_or(u64::MAX);
        family("connections_open", Gauge, "Connections that are open.", open);
        let help = "Connections that ended before their TLS handshake was over.";
        family("tls_handshakes_failed_total", Counter, help, |one| one.failed_handshakes);
    }

    fn users(&self, text: &mut Text) {
        let logins = self.sources.state.sessions.logins();
        let help = "Log-ins by their outcome: done, refused, or failed because of the server.";
        let mut family = text.family("logins_total", Counter, help);
        family.with(&[("outcome", "done")], logins.done);
        family.with(&[("outcome", "refused")], logins.refused);
        family.with(&[("outcome", "failed")], logins.failed);
        let sync = self.sources.state.sync.stats();
        let help = "Requests to /sync that wait for something to tell.";
        text.family("sync_waiting_requests", Gauge, help).is(sync.waiting);
        let help = "Users whose changes are followed because they synced lately.";
        text.family("sync_followed_users", Gauge, help).is(sync.users);
    }

    fn rooms(&self, text: &mut Text) {
        let stats = self.sources.state.rooms.stats();
        let help =
            "Events that got a place in a room, by whose user sent them and what came of it.";
        let mut family = text.family("events_total", Counter, help);
        for (origin, events) in [("local", stats.own), ("remote", stats.received)] {
            let EventStats { accepted, rejected, soft_failed } = events;
            family.with(&[("origin", origin), ("outcome", "accepted")], accepted);
            family.with(&[("origin", origin), ("outcome", "rejected")], rejected);
            family.with(&[("origin", origin), ("outcome", "soft_failed")], soft_failed);
        }
        let caches = [("rooms", stats.rooms), ("events", stats.events), ("states", stats.states)];
        let mut family = |name, kind, help, value: fn(&CacheStats) -> u64| {
            let mut family = text.family(name, kind, help);
            for (cache, stats) in &caches {
                family.with(&[("cache", cache)], value(stats));
            }
        };
        family("cache_entries", Gauge, "What is kept in memory.", |cache| cache.entries);
        family("cache_size_bytes", Gauge, "What it takes, as the cache counts.", |cache| {
            cache.bytes
        });
        family("cache_hits_total", Counter, "How often something was at hand.", |cache| cache.hits);
        family("cache_misses_total", Counter, "How often something was not at hand.", |cache| {
            cache.misses
        });
    }

    fn store(&self, text: &mut Text) {
        let stats = self.sources.store.stats();
        let help = "Changes that wait for the store's writer.";
        text.family("store_queued_changes", Gauge, help).is(stats.queued_changes);
        let help = "Reads that wait for one of the store's readers.";
        text.family("store_queued_reads", Gauge, help).is(stats.queued_reads);
        let help = "Readers of the store, each with a connection.";
        text.family("store_readers", Gauge, help).is(stats.readers);
        let help = "Changes that were committed; with store_groups_total the mean size of a group.";
        text.family("store_changes_total", Counter, help).is(stats.changes);
        let help = "Groups of changes that were committed together.";
        text.family("store_groups_total", Counter, help).is(stats.groups);
        let help = "Groups of changes that failed as a whole.";
        text.family("store_failed_groups_total", Counter, help).is(stats.failed_groups);
        let help = "Time from sending a commit to its answer.";
        text.times("store_commit_duration_seconds", help).are(&stats.commits);
        let help = "Time that reads waited for a reader.";
        text.times("store_read_wait_seconds", help).are(&stats.read_waits);
        let roles = [("writer", stats.writer), ("reader", stats.reader)];
        let mut family = |name, help, value: fn(&Opened) -> u64| {
            let mut family = text.family(name, Counter, help);
            for (role, opened) in &roles {
                family.with(&[("role", role)], value(opened));
            }
        };
        let help = "Connections to the database that were opened.";
        family("database_connections_opened_total", help, |role| role.opened);
        let help = "Connections to the database that were lost.";
        family("database_connections_lost_total", help, |role| role.lost);
        let help = "Recent changes that are kept in memory.";
        text.family("store_log_changes", Gauge, help).is(stats.log_records);
        let help = "What the recent changes in memory take.";
        text.family("store_log_size_bytes", Gauge, help).is(stats.log_bytes);
    }
}

fn process(text: &mut Text, process: &Process) {
    let mut family = |name, kind, help, value: Option<String>| {
        let mut family = text.family(name, kind, help);
        if let Some(value) = value {
            family.is(value);
        }
    };
    let cpu = process.cpu_us.map(|time_us| Seconds(time_us).to_string());
    family("process_cpu_seconds_total", Counter, "Processor time.", cpu);
    let resident = process.resident_bytes.map(|bytes| bytes.to_string());
    family("process_resident_memory_bytes", Gauge, "Resident memory.", resident);
    let threads = process.threads.map(|threads| threads.to_string());
    family("process_threads", Gauge, "Threads.", threads);
    let open = process.open_files.map(|files| files.to_string());
    family("process_open_fds", Gauge, "Open file descriptors.", open);
    let most = process.most_files.map(|files| files.to_string());
    family("process_max_fds", Gauge, "The most file descriptors that may be open.", most);
}

fn requests(text: &mut Text, stats: &RequestStats) {
    let help = "Requests by route and by the class of the answer's status, or that nobody waited \
                for the answer.";
    let mut family = text.family("http_requests_total", Counter, help);
    for row in &stats.routes {
        for (end, count) in row.ends.iter().filter(|(_, count)| *count > 0) {
            let labels = [("method", row.method), ("route", &row.route), ("status", end)];
            family.with(&labels, *count);
        }
    }
    let help = "Time until the answer began; of /sync that is also the time that a client let the \
                server wait for news.";
    let mut family = text.times("http_request_duration_seconds", help);
    for row in stats.routes.iter().filter(|row| row.times.count > 0) {
        family.with(&[("method", row.method), ("route", &row.route)], &row.times);
    }
    let help = "Requests that are being worked on.";
    text.family("http_requests_in_flight", Gauge, help).is(stats.in_flight);
    let help = "Requests that came too often, by the limit's name in the configuration.";
    let mut family = text.family("rate_limited_requests_total", Counter, help);
    for (limit, count) in &stats.limited {
        family.with(&[("limit", limit)], *count);
    }
}
