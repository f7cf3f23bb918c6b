//! The clockwork of this crate: typing that times out, presence that goes idle, last-seen times
//! that are written.

use std::time::Duration;

use crate::{Context, Presence, Sessions, Typing};

/// How often last-seen times are written, and the longest time between two looks at everything.
const FLUSH_EVERY_MS: u64 = 60_000;

/// The shortest time between two looks, so that a crowd costs no more than so many wake-ups.
const SHORTEST_WAIT_MS: u64 = 250;

/// Does what is due; the daemon spawns it.
pub struct Maintenance {
    context: Context,
    sessions: Sessions,
    typing: Typing,
    presence: Presence,
    flush_ms: u64,
}

impl Maintenance {
    /// Looks after these.
    pub fn new(context: Context, sessions: Sessions, typing: Typing, presence: Presence) -> Self {
        let flush_ms = context.now_ms() + FLUSH_EVERY_MS;
        Self { context, sessions, typing, presence, flush_ms }
    }

    /// Runs until it is dropped. Whoever stops it writes the rest with [`Sessions::flush_seen`].
    pub async fn run(mut self) {
        loop {
            self.run_due().await;
            let now_ms = self.context.now_ms();
            let due = [self.typing.next_due_ms(), self.presence.next_due_ms()];
            let next = due.into_iter().flatten().fold(self.flush_ms, u64::min);
            let wait_ms = next.saturating_sub(now_ms).clamp(SHORTEST_WAIT_MS, FLUSH_EVERY_MS);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                () = self.typing.due_sooner() => {}
                () = self.presence.due_sooner() => {}
            }
        }
    }

    /// Does what is due by now.
    pub async fn run_due(&mut self) {
        let now_ms = self.context.now_ms();
        self.typing.expire(now_ms);
        if let Err(error) = self.presence.expire(now_ms).await {
            tracing::warn!(%error, "presence could not be brought up to date");
        }
        if now_ms >= self.flush_ms {
            self.flush_ms = now_ms + FLUSH_EVERY_MS;
            if let Err(error) = self.sessions.flush_seen().await {
                tracing::warn!(%error, "last-seen times could not be written");
            }
        }
    }
}

#[cfg(test)]
#[path = "maintenance_test.rs"]
mod maintenance_test;
