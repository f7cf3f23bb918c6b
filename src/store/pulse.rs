//! What somebody who looks after the process learns of the store: whether the writer's thread still
//! moves, whether there is room for what it writes, and which step of the schema it is at.
//!
//! Invariant: only the writer's own thread gives signs of life, and it gives them as well while it
//! waits for a database that is away or locked. So a thread that gives none hangs in this process,
//! and nothing but a new process helps.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// How often the thread gives a sign of life while it waits for the database's server.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// The pauses in which a locked database is asked again, from the first to the longest.
const LOCK_PAUSE_FIRST: Duration = Duration::from_millis(1);
const LOCK_PAUSE_MAX: Duration = Duration::from_millis(100);

/// How far the schema is being brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The version that was found.
    pub from: usize,
    /// The version that the step leads to.
    pub version: usize,
    /// The newest one.
    pub last: usize,
    /// Whether the step is done; the next one may follow.
    pub is_done: bool,
}

/// The store's signs of life. Clones mean the same store.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    /// Milliseconds from `born` to the last sign.
    beat: AtomicU64,
    full: watch::Sender<bool>,
    step: watch::Sender<Option<Step>>,
}

impl Default for Pulse {
    fn default() -> Self {
        let (full, step) = (watch::Sender::new(false), watch::Sender::new(None));
        Self(Arc::new(Inner { born: Instant::now(), beat: AtomicU64::new(0), full, step }))
    }
}

impl Pulse {
    /// How long ago the writer's thread gave its last sign. It gives some at each turn; without
    /// work a turn takes ten seconds.
    pub fn age(&self) -> Duration {
        let since_birth = Duration::from_millis(self.0.beat.load(Relaxed));
        self.0.born.elapsed().saturating_sub(since_birth)
    }

    /// Whether the last change failed for want of room.
    pub fn full(&self) -> watch::Receiver<bool> {
        self.0.full.subscribe()
    }

    /// The newest step of the schema, if one was needed.
    pub fn step(&self) -> watch::Receiver<Option<Step>> {
        self.0.step.subscribe()
    }

    fn beat(&self) {
        let age = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.beat.store(age, Relaxed);
    }
}

/// What a thread of the store knows of itself.
#[derive(Default)]
struct Own {
    pulse: Option<Pulse>,
    patience: Duration,
    waits_since: Option<Instant>,
}

thread_local! {
    /// Connections wait deep inside their drivers, where nothing can be handed in.
    static OWN: RefCell<Own> = RefCell::default();
}

fn with<T>(look: impl FnOnce(&mut Own) -> T) -> T {
    OWN.with_borrow_mut(look)
}

/// Says that this thread is the writer's.
pub(crate) fn adopt(pulse: Pulse) {
    pulse.beat();
    with(|own| own.pulse = Some(pulse));
}

/// A sign of life, of the writer's thread; of another one it is nothing.
pub(crate) fn beat() {
    with(|own| own.pulse.iter().for_each(Pulse::beat));
}

/// Signs of life for as long as the thread drives this.
pub(crate) async fn beat_while_driven() {
    loop {
        beat();
        tokio::time::sleep(BEAT_INTERVAL).await;
    }
}

/// Tells whether a change failed for want of room.
pub(crate) fn tell_full(full: bool) {
    with(|own| {
        let news = |before: &mut bool| std::mem::replace(before, full) != full;
        if let Some(pulse) = &own.pulse {
            pulse.0.full.send_if_modified(news);
        }
    });
}

/// Tells that a step of the schema begins, or is done.
pub(crate) fn tell_step(step: Step) {
    beat();
    with(|own| {
        if let Some(pulse) = &own.pulse {
            pulse.0.step.send_replace(Some(step));
        }
    });
}

/// How long this thread waits for a database that somebody else has locked; gives what it was.
pub(crate) fn set_patience(patience: Duration) -> Duration {
    with(|own| std::mem::replace(&mut own.patience, patience))
}

/// Waits a moment for a lock; `attempts` have been made. Whether to try again.
pub(crate) fn wait_for_lock(attempts: i32) -> bool {
    beat();
    let is_late = with(|own| {
        let since = own.waits_since.filter(|_| attempts > 0).unwrap_or_else(Instant::now);
        own.waits_since = Some(since);
        since.elapsed() >= own.patience
    });
    if is_late {
        return false;
    }
    let attempts = u32::try_from(attempts).unwrap_or_default();
    std::thread::park_timeout((LOCK_PAUSE_FIRST * (attempts + 1)).min(LOCK_PAUSE_MAX));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_does_nothing_ages_and_a_sign_makes_it_young() {
        let pulse = Pulse::default();
        let (told, heard) = std::sync::mpsc::sync_channel(1);
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
        let ours = pulse.clone();
        let thread = std::thread::spawn(move || {
            adopt(ours);
            told.send(()).unwrap();
            wait.recv().unwrap();
            beat();
            told.send(()).unwrap();
            wait.recv().unwrap();
        });
        heard.recv().unwrap();
        std::thread::park_timeout(Duration::from_millis(300));
        // Somebody else's sign is none.
        beat();
        let old = pulse.age();
        assert!(old >= Duration::from_millis(250), "{old:?}");
        go.send(()).unwrap();
        heard.recv().unwrap();
        assert!(pulse.age() < old);
        go.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_lock_is_waited_for_with_patience_and_no_longer() {
        set_patience(Duration::from_millis(50));
        let start = Instant::now();
        let mut attempts = 0;
        while wait_for_lock(attempts) {
            attempts += 1;
        }
        assert!(attempts > 1 && start.elapsed() >= Duration::from_millis(50), "{attempts}");
        // The next wait is another one.
        assert!(wait_for_lock(0));
    }
}
