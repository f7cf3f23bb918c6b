//! The operating system's clock and randomness, and numbers about this machine.

use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{User, geteuid},
};
use tokio::runtime::{Builder, Runtime};

use http::Lanes;
use proto::clock::{Clock, Random};

use crate::failure::Failure;

/// The operating system's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl SystemClock {
    /// The time as the standard library has it.
    pub(crate) fn now() -> SystemTime {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody is handed")]
        SystemTime::now()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        // A clock before 1970 is one that was never set.
        let since_epoch = Self::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer)
            .expect("without the system's randomness no token is secret, so nothing may go on");
    }
}

/// How many processors this process may use. Asked once: the sandbox hides the control group that
/// has a word in it.
pub(crate) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The name of the user that runs this process, if there is one. Asked once: the sandbox hides the
/// list of users.
pub(crate) fn user_name() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let find = || Some(User::from_uid(geteuid()).ok()??.name);
    NAME.get_or_init(find).as_deref()
}

/// The runtime of everything that is not a connection, with a thread for each processor.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(processors()).enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))
}

/// The threads of the connections, one for each processor.
pub(crate) fn lanes() -> Result<Lanes, Failure> {
    Lanes::start(processors())
        .map_err(|error| Failure::new(format!("cannot start the threads of connections: {error}")))
}

/// Descriptors that are kept for the database, for files and for what the server connects to; of
/// few it is three quarters of them.
const KEPT_DESCRIPTORS: u64 = 256;

/// So many connections of clients as are configured, or as there are descriptors for: clients that
/// take the last one take the database's as well.
pub(crate) fn connections(configured: usize) -> usize {
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return configured };
    let most = connections_within(configured, limit);
    if most < configured {
        tracing::warn!(
            "limits.connections is {configured}, but this process may have {limit} files open \
             (LimitNOFILE= of the unit, ulimit -n), so that it takes {most} connections at a time"
        );
    }
    most
}

fn connections_within(configured: usize, descriptors: u64) -> usize {
    let left = descriptors - KEPT_DESCRIPTORS.min(descriptors / 4 * 3);
    configured.min(usize::try_from(left).unwrap_or(usize::MAX))
}

/// Lets the process have as many descriptors as the system allows it: each connection is one.
pub(crate) fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Lets a thread of the allocator give free memory back to the system also while nothing happens.
/// To be called once the sandbox stands, which binds only threads that start later.
pub(crate) fn give_memory_back() {
    if let Err(error) = tikv_jemalloc_ctl::background_thread::write(true) {
        tracing::warn!(%error, "the allocator has no thread of its own; memory may stay in use");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_2020_and_randomness_differs() {
        assert!(SystemClock.now_ms() > 1_577_836_800_000);
        let (mut first, mut second) = ([0; 32], [0; 32]);
        SystemRandom.fill(&mut first);
        SystemRandom.fill(&mut second);
        assert_ne!(first, second);
    }

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!(connections_within(10_000, 524_288), 10_000);
        assert_eq!(connections_within(10_000, u64::MAX), 10_000);
        assert_eq!(connections_within(10_000, 1024), 768);
        assert_eq!(connections_within(10_000, 64), 16);
        assert_eq!(connections_within(10, 64), 10);
    }

    #[test]
    fn whoever_runs_the_test_has_a_name() {
        let id = std::process::Command::new("id").arg("-un").output().unwrap();
        assert_eq!(String::from_utf8(id.stdout).unwrap().trim(), user_name().unwrap());
    }
}
