//! What an operation costs: wall time, processor time of this process and of the database server
//! that it started, bytes written to files, resident memory.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};

const TICK: Duration = Duration::from_millis(10);

/// What was used up to a moment.
#[derive(Clone, Copy, Default)]
struct Used {
    own: Duration,
    server: Duration,
    written: u64,
}

/// The sum of what some operations cost, one after the other.
pub(crate) struct Meter {
    is_sqlite: bool,
    begin: Used,
    begun: Instant,
    resident: u64,
    wall: Duration,
    used: Used,
    count: u32,
}

impl Meter {
    pub(crate) fn heading() {
        println!(
            "{:34} {:>6} {:>10} {:>10} {:>10} {:>10} {:>9}",
            "each", "times", "wall ms", "own ms", "server ms", "KiB", "RSS +MB"
        );
    }

    pub(crate) fn new(is_sqlite: bool) -> Self {
        Self {
            is_sqlite,
            begin: Used::default(),
            begun: Instant::now(),
            resident: resident(),
            wall: Duration::ZERO,
            used: Used::default(),
            count: 0,
        }
    }

    /// Counts an operation in.
    pub(crate) async fn run<T>(&mut self, operation: impl Future<Output = T>) -> T {
        self.begin = self.of_database(self.begin);
        self.begin.own = own_time();
        self.begun = Instant::now();
        let answer = operation.await;
        self.wall += self.begun.elapsed();
        self.used.own += own_time().saturating_sub(self.begin.own);
        let end = self.of_database(self.begin);
        self.used.server += end.server.saturating_sub(self.begin.server);
        self.used.written += end.written.saturating_sub(self.begin.written);
        self.count += 1;
        answer
    }

    /// Prints what each of the operations has cost.
    pub(crate) fn tell(self, what: &str) {
        let times = f64::from(self.count);
        let ms = |time: Duration| time.as_secs_f64() * 1e3 / times;
        println!(
            "{what:34} {:6} {:10.3} {:10.3} {:10.3} {:10.1} {:9.1}",
            self.count,
            ms(self.wall),
            ms(self.used.own),
            ms(self.used.server),
            kibibytes(self.used.written) / times,
            kibibytes(resident().saturating_sub(self.resident)) / 1024.0,
        );
    }

    fn of_database(&self, used: Used) -> Used {
        // Towards a server the own writes go to a socket.
        if self.is_sqlite {
            return Used { written: written("self"), ..used };
        }
        let servers = servers();
        let server = servers.iter().map(|(_, ticks)| TICK * *ticks).sum();
        let written = servers.iter().map(|(process, _)| written(&process.to_string())).sum();
        Used { server, written, ..used }
    }
}

fn own_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel tells");
    let times = [usage.user_time(), usage.system_time()];
    let time = times.iter().map(|time| {
        let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
        Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
            + Duration::from_micros(micros)
    });
    time.sum()
}

#[expect(clippy::cast_precision_loss, reason = "nobody needs more than its digits")]
fn kibibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

/// Bytes in memory.
pub(crate) fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

fn written(process: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// The database server's processes, with the ticks that they used.
fn servers() -> Vec<(u32, u32)> {
    let mut parents = HashMap::new();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
        let fields = rest.split(' ').map(|field| field.parse().unwrap_or(0)).collect::<Vec<u32>>();
        let process = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(process) = process else { continue };
        parents.insert(process, fields[1]);
        if name.ends_with("(postgres") {
            found.push((process, fields[11] + fields[12]));
        }
    }
    let own = std::process::id();
    found.retain(|(process, _)| {
        let above = std::iter::successors(Some(*process), |process| parents.get(process).copied());
        above.take(10).any(|process| process == own)
    });
    found
}
