//! Attempts that are limited by how often they fail, such as guesses of a password.
//!
//! Invariant: attempts of one subject are made one after another. Nobody knows of a failure before
//! it is there, so that whoever makes many attempts at once would make them all.
//!
//! Spec: client-server API, "Rate limiting".

use std::time::Duration;

use crate::{
    rate::{Kind, Limiter, Subject},
    turns::Turn,
};

/// An attempt under way; it costs nothing unless it fails.
pub(crate) struct Attempt<'l> {
    limiter: &'l Limiter,
    kind: Kind,
    subject: Subject,
    _turn: Turn<'l>,
}

impl Limiter {
    /// Waits for the attempts before this one, and begins it unless too many of them failed; then
    /// the error is how long to wait.
    pub(crate) async fn attempt(
        &self,
        kind: Kind,
        subject: Subject,
    ) -> Result<Attempt<'_>, Duration> {
        let turn = self.turns().wait(&subject).await;
        self.look(kind, subject.clone())?;
        Ok(Attempt { limiter: self, kind, subject, _turn: turn })
    }
}

impl Attempt<'_> {
    /// Counts it.
    pub(crate) fn fail(self) {
        // Who empties the bucket hears of it next time.
        let _ = self.limiter.take(self.kind, self.subject);
    }
}
