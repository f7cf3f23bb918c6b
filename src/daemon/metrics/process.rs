//! What the system says about this process. All of it stays readable in the sandbox, which leaves
//! the process its own directory in /proc.

use std::fs;

use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage},
    time::TimeValLike,
};

/// The process at one moment; what the system does not say is left out.
#[derive(Debug)]
pub(super) struct Process {
    /// Time that its threads have run, in microseconds.
    pub(super) cpu_us: Option<u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<usize>,
    pub(super) most_files: Option<u64>,
}

impl Process {
    /// This one, now.
    pub(super) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let cpu = usage.map(|usage| usage.user_time() + usage.system_time());
        Self {
            cpu_us: cpu.and_then(|time| u64::try_from(time.num_microseconds()).ok()),
            resident_bytes: field(&status, "VmRSS").map(|kib| kib * 1024),
            threads: field(&status, "Threads"),
            // The one that the directory is read by does not count.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() - 1),
            most_files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
        }
    }
}

/// The number in a line of `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_described() {
        let before = Process::now();
        assert!(before.resident_bytes.unwrap() > 1024 * 1024);
        assert!(before.threads.unwrap() >= 1);
        assert!(before.most_files.unwrap() > 0);
        let file = fs::File::open("/dev/null").unwrap();
        let mut sum = 0_u64;
        for number in 0..20_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        let after = Process::now();
        drop(file);
        assert!(after.open_files.unwrap() >= 4);
        assert!(after.cpu_us.unwrap() > before.cpu_us.unwrap());
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmRSSx:\t1 kB\nVmRSS:\t  12 kB\nThreads:\t3\n";
        assert_eq!((field(status, "VmRSS"), field(status, "Threads")), (Some(12), Some(3)));
        assert_eq!((field(status, "Vm"), field(status, "Name")), (None, None));
    }
}
