//! How a local event is put on top of a room: completed, signed, authorized, and made the only
//! forward extremity.
//!
//! Spec: server-server API, "PDUs".

use std::sync::Arc;

use proto::{draft::Draft, number::StateKeyNumber};
use store::room::event::{Body, Outcome};

use crate::{
    RoomError,
    stage::{Gaps, Redaction, Stage, StagedEvent},
    view::KeyChange,
};

impl Stage<'_> {
    /// Adds a local event: completes, signs and authorizes it.
    pub(crate) async fn add(
        &mut self,
        draft: &Draft,
        timestamp_ms: u64,
    ) -> Result<Arc<Body>, RoomError> {
        let completed = crate::draft::complete(self, draft, timestamp_ms).await?;
        let key = self.key_of(completed.pdu.pdu()).await?;
        let number = self.inner.numbering.next_event().await?;
        let pdu = Arc::clone(completed.pdu.pdu());
        let body = Arc::new(Body::new(number, pdu));
        let redaction = crate::redact::stage(self, body.pdu()).await?;
        match key {
            Some(key) => {
                let auth_events = completed.auth_events.iter().map(|body| body.number());
                let replaced = self.view.state_event(key);
                self.index(&body, replaced, auth_events.collect()).await?;
                self.append_state(&body, key, redaction).await?;
            }
            None => self.append_message(&body, redaction),
        }
        Ok(body)
    }

    fn append_message(&mut self, body: &Arc<Body>, redaction: Redaction) {
        self.advance(body);
        self.events.push(StagedEvent {
            body: Arc::clone(body),
            outcome: Outcome::Accepted,
            key: None,
            group: Some(self.view.group),
            depth: Some(self.view.depth),
            replaces: None,
            changes: Vec::new(),
            current: self.view.group,
            redaction,
            txn: None,
            known: false,
            gaps: Gaps::default(),
        });
    }

    async fn append_state(
        &mut self,
        body: &Arc<Body>,
        key: StateKeyNumber,
        redaction: Redaction,
    ) -> Result<(), RoomError> {
        let old = self.view.state_event(key);
        let replaces = match old {
            Some(old) => Some(self.body(key, old).await?),
            None => None,
        };
        self.add_group(vec![(key.0, body.number().0)]).await?;
        let change = KeyChange { key, old, new: Some(Arc::clone(body)) };
        self.view.apply(&change, &self.inner.loader.server);
        self.advance(body);
        self.events.push(StagedEvent {
            body: Arc::clone(body),
            outcome: Outcome::Accepted,
            key: Some(key),
            group: Some(self.view.group),
            depth: Some(self.view.depth),
            replaces,
            changes: vec![change],
            current: self.view.group,
            redaction,
            txn: None,
            known: false,
            gaps: Gaps::default(),
        });
        Ok(())
    }

    /// Makes the body the room's only forward extremity: it names all that were.
    fn advance(&mut self, body: &Arc<Body>) {
        self.view.depth += 1;
        self.view.tips = smallvec::smallvec![Arc::clone(body)];
    }
}
